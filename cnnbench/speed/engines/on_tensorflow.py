"""TensorFlow: graphs of Keras' own steps, as `fit` makes them, on tensors of one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnnbench.records.measurements import Placement, Workload
from cnnbench.speed.engines.engine import Tensor
from cnnbench.speed.engines.keras_model import placement_of
from cnnbench.speed.flops.backend_flops import backend_flops


def where(tensor: Tensor) -> tuple[str, str]:
    """Returns kind of device and dtype of a tensor or variable."""
    return tf.DeviceSpec.from_string(tensor.device).device_type.lower(), tensor.dtype.name


class TensorFlowEngine:
    """One device, `cpu` or `gpu`, of this process."""

    def __init__(self, kind: str) -> None:
        self.device = f"/{kind.upper()}:0"

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        with tf.device(self.device):
            tensor = tf.identity(tf.constant(array))
        self.synchronize([tensor])
        return tensor

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        return np.asarray(tensor)

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        # Waits for every stream of every device, so that no output need be looked at.
        tf.test.experimental.sync_devices()

    def tf32(self) -> str:
        if "GPU" not in self.device:
            return ""
        return "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))

    def program(self, model: keras.Model, workload: Workload) -> TensorFlowProgram:
        return TensorFlowProgram(self, model, workload)


class TensorFlowProgram:
    """A graph of `train_step`, or of the model in inference mode."""

    def __init__(self, engine: TensorFlowEngine, model: keras.Model, workload: Workload) -> None:
        self.engine, self.model, self.workload = engine, model, workload
        # Keras decides at compile() whether XLA is of use on this device.
        jit = bool(model.jit_compile)
        self._infer = tf.function(lambda x: model(x, training=False), jit_compile=jit)
        self._train = tf.function(lambda x, y: model.train_step((x, y))["loss"], jit_compile=jit)

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        with tf.device(self.engine.device):
            if self.workload == "train":
                return self._train(pictures, targets)
            return self._infer(pictures)

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with tf.device(self.engine.device):
            return np.asarray(self._infer(tf.constant(pictures)), np.float32)

    def placement(self) -> Placement:
        with tf.device(self.engine.device):
            return placement_of(self.model, where)

    def backend_flops(self, batch_size: int) -> float | None:
        return backend_flops("tensorflow", self.model, batch_size, self.workload)
