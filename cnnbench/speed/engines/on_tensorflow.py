"""TensorFlow: graphs of Keras' own steps, as `fit` makes them, on tensors of one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from cnnbench.machine.backends import Place, kind_of
from cnnbench.records.records import Workload
from cnnbench.speed.engines.engine import Array, Tensor
from cnnbench.speed.engines.keras_model import KerasEngine, KerasProgram


class TensorflowEngine(KerasEngine):
    def __init__(self, place: Place) -> None:
        self.device = f"/{kind_of(place.device).upper()}:0"

    def send(self, array: Array) -> Tensor:
        with tf.device(self.device):
            return tf.identity(tf.constant(array))

    def get(self, tensor: Tensor) -> Array:
        return np.asarray(tensor)

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        # Waits for every stream of every device, whatever the outputs are.
        tf.test.experimental.sync_devices()

    def tf32(self) -> str:
        if "GPU" not in self.device:
            return ""
        return "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"

    def where(self, tensor: Tensor) -> tuple[str, str]:
        return tf.DeviceSpec.from_string(tensor.device).device_type.lower(), tensor.dtype.name

    def compiled(self, function: Callable[..., Tensor], jit: bool = False) -> Callable[..., Tensor]:
        graph: Callable[..., Tensor] = tf.function(function, jit_compile=jit)
        return graph

    def program(self, model: keras.Model, workload: Workload) -> TensorflowProgram:
        return TensorflowProgram(self, model, workload)


class TensorflowProgram(KerasProgram):
    """Graphs of `train_step` and of the model in inference mode."""

    def __init__(self, engine: TensorflowEngine, model: keras.Model, workload: Workload) -> None:
        super().__init__(engine, model, workload)
        # Keras decides in compile() whether XLA is of use on this device.
        jit = bool(model.jit_compile)
        self.infer = engine.compiled(lambda x: model(x, training=False), jit)
        self.train = engine.compiled(lambda x, y: model.train_step((x, y))["loss"], jit)

    def backend_flops(self) -> float | None:
        """Counts most operations of inference, by the formulas of TensorFlow's profiler.

        Its formulas for the gradients of a convolution are right only where the output is as large
        as the input. Without padding they give up to twice the textbook's number, so that training
        is not counted.
        """
        if self.workload == "train":
            return None
        from tensorflow.python.framework import ops
        from tensorflow.python.profiler.internal import flops_registry  # noqa: F401
        from tensorflow.python.util import deprecation

        picture = tf.TensorSpec((1, *self.model.input_shape[1:]), tf.uint8)
        inference = tf.function(lambda x: self.model(x, training=False))
        graph = inference.get_concrete_function(picture).graph
        # What tf.compat.v1.profiler sums up, without its printing and its warning.
        with deprecation.silence():
            counts = [
                ops.get_stats_for_node_def(graph, operation.node_def, "flops").value
                for operation in graph.get_operations()
            ]
        return float(sum(count for count in counts if count))
