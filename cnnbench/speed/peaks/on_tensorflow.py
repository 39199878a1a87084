"""The peak's works in TensorFlow. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnnbench.speed.peaks.sizes import CHANNELS, INPUT_SIDE, KERNEL, Bench, Call, Unsupported


def bench(device: str, dtype: str, threads: int) -> Bench:
    """Returns the works on a device; threads are those of the process."""
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise Unsupported("TensorFlow sees no GPU")
    return _Bench("/GPU:0" if device == "gpu" else "/CPU:0", tf.as_dtype(dtype))


class _Bench:
    def __init__(self, device: str, dtype: Any) -> None:
        self._device, self._dtype = device, dtype

    def matmul(self, size: int) -> Call:
        sums = tf.int32 if self._dtype == tf.int8 else self._dtype  # as Keras' quantized layers
        a, b = self._array(size, size), self._array(size, size)
        return self._call(lambda a, b: tf.linalg.matmul(a, b, output_type=sums), a, b)

    def convolution(self, batch: int) -> Call:
        if self._dtype == tf.int8:
            raise Unsupported("TensorFlow has no plain int8 convolution")
        x = self._array(batch, INPUT_SIDE, INPUT_SIDE, CHANNELS)
        w = self._array(KERNEL, KERNEL, CHANNELS, CHANNELS)
        return self._call(lambda x, w: tf.nn.conv2d(x, w, strides=1, padding="VALID"), x, w)

    def _array(self, *shape: int) -> Any:
        with tf.device(self._device):
            return tf.cast(tf.ones(shape), self._dtype)

    def _call(self, function: Callable[[Any, Any], Any], a: Any, b: Any) -> Call:
        program = tf.function(function, autograph=False)  # both as arguments: not folded

        def call() -> None:
            with tf.device(self._device):
                program(a, b)
            tf.test.experimental.sync_devices()

        return call
