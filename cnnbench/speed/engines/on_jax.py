"""JAX: Keras' own stateless steps, compiled by `jax.jit`, on arrays of one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np
import numpy.typing as npt

from cnnbench.records.measurements import Placement, Workload
from cnnbench.speed.engines.engine import Tensor
from cnnbench.speed.engines.keras_model import placement_of
from cnnbench.speed.flops.backend_flops import backend_flops


def where(tensor: Tensor) -> tuple[str, str]:
    """Returns kind of device and dtype of an array."""
    kinds = {"cpu" if device.platform == "cpu" else "gpu" for device in tensor.devices()}
    return "+".join(sorted(kinds)), str(tensor.dtype)


class JaxEngine:
    """One device, `cpu` or `gpu`, of this process."""

    def __init__(self, kind: str) -> None:
        self.device = jax.devices("cpu" if kind == "cpu" else None)[0]

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        return jax.block_until_ready(jax.device_put(array, self.device))

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        return np.asarray(tensor)

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        jax.block_until_ready(list(outputs))

    def tf32(self) -> str:
        if self.device.platform == "cpu":
            return ""
        precision = str(jax.config.jax_default_matmul_precision)
        return "off" if precision in ("highest", "float32") else "on"

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)

    def program(self, model: keras.Model, workload: Workload) -> JaxProgram:
        return JaxProgram(model, workload)


class JaxProgram:
    """A compiled `train_step`, whose state it carries on, or a compiled stateless call."""

    def __init__(self, model: keras.Model, workload: Workload) -> None:
        self.model, self.workload = model, workload
        if workload == "train":
            model.optimizer.build(model.trainable_variables)
        self._state = tuple(
            [variable.value for variable in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables if workload == "train" else [],
                model.metrics_variables if workload == "train" else [],
            )
        )
        # The old state is given away: a step needs no second copy of the weights.
        self._train = jax.jit(model.train_step, donate_argnums=0)
        self._infer = jax.jit(
            lambda trained, others, x: model.stateless_call(trained, others, x, training=False)[0]
        )

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        if self.workload == "train":
            logs, self._state = self._train(self._state, (pictures, targets))
            return logs["loss"]
        return self._infer(self._state[0], self._state[1], pictures)

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.asarray(self._infer(self._state[0], self._state[1], pictures), np.float32)

    def placement(self) -> Placement:
        for variables, values in zip(
            (self.model.trainable_variables, self.model.non_trainable_variables),
            self._state[:2],
            strict=True,
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)  # training gave the old arrays away
        return placement_of(self.model, where)

    def backend_flops(self, batch_size: int) -> float | None:
        return backend_flops("jax", self.model, batch_size, self.workload)
