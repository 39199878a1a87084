"""JAX: Keras' own stateless steps, compiled by `jax.jit`, on arrays of one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

from cnnbench.machine.backends import Place
from cnnbench.records.records import Placement, Workload
from cnnbench.speed.engines.engine import Array, Tensor
from cnnbench.speed.engines.keras_model import KerasEngine, KerasProgram


class JaxEngine(KerasEngine):
    def __init__(self, place: Place) -> None:
        self.device = jax.devices("cpu" if place.device == "cpu" else None)[0]

    def send(self, array: Array) -> Tensor:
        return jax.device_put(array, self.device)

    def get(self, tensor: Tensor) -> Array:
        return np.asarray(tensor)

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        jax.block_until_ready(list(outputs))

    def tf32(self) -> str:
        if self.device.platform == "cpu":
            return ""
        precision = str(jax.config.jax_default_matmul_precision)
        return "off" if precision in ("highest", "float32") else "on"

    def where(self, tensor: Tensor) -> tuple[str, str]:
        kinds = {"cpu" if device.platform == "cpu" else "gpu" for device in tensor.devices()}
        return "+".join(sorted(kinds)), str(tensor.dtype)

    def compiled(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        program: Callable[..., Tensor] = jax.jit(function)
        return program

    def program(self, model: keras.Model, workload: Workload) -> JaxProgram:
        return JaxProgram(self, model, workload)


class JaxProgram(KerasProgram):
    """A compiled `train_step`, whose state it carries on, and a compiled stateless call."""

    def __init__(self, engine: JaxEngine, model: keras.Model, workload: Workload) -> None:
        super().__init__(engine, model, workload)
        self._weights = (model.trainable_variables, model.non_trainable_variables)
        groups: tuple[Any, ...] = self._weights
        if workload == "train":
            model.optimizer.build(model.trainable_variables)
            groups += (model.optimizer.variables, model.metrics_variables)
        # As a step returns it, or the second step would be compiled anew.
        self._state = jax.device_put(
            tuple([variable.value for variable in group] for group in groups), engine.device
        )
        # The old state is given away: a step needs no second copy of the weights.
        self._train = jax.jit(model.train_step, donate_argnums=0)
        self._infer = jax.jit(
            lambda trained, others, x: model.stateless_call(trained, others, x, training=False)[0]
        )

    def train(self, pictures: Tensor, targets: Tensor) -> Tensor:
        logs, self._state = self._train(self._state, (pictures, targets))
        return logs["loss"]

    def infer(self, pictures: Tensor) -> Tensor:
        return self._infer(self._state[0], self._state[1], pictures)

    def placement(self) -> Placement:
        for variables, values in zip(self._weights, self._state[:2], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)  # training gave the old arrays away
        return super().placement()

    def backend_flops(self) -> float | None:
        """Counts every operation, but not what padding multiplies.

        What XLA counts for four pictures less that for two leaves out what a step does only once,
        such as the optimizer.
        """
        two, four = self._counted(2), self._counted(4)
        return None if two is None or four is None else (four - two) / 2

    def _counted(self, pictures: int) -> float | None:
        batch = self.black(pictures)
        # As lowered, before XLA rewrites it: on a GPU, convolutions become calls of cuDNN, which
        # the count of the compiled program leaves out.
        if self.workload == "train":
            lowered = self._train.lower(self._state, self.inputs(batch))
        else:
            lowered = self._infer.lower(self._state[0], self._state[1], batch.pictures)
        flops = (lowered.cost_analysis() or {}).get("flops")
        return None if flops is None else float(flops)
