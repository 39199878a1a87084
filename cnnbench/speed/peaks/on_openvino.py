"""The peak's works in OpenVINO. Runs in a worker.

The second operand is a weight, as in a network: that is what OpenVINO is made for. Shapes are
NCHW; the plugin lays tensors out as it likes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from cnnbench.speed.peaks.sizes import CHANNELS, INPUT_SIDE, KERNEL, Bench, Call, Unsupported

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
SCALE = 1 / 64  # of int8: ones are 64


def bench(device: str, dtype: str, threads: int) -> Bench:
    """Returns the works on a CPU."""
    if device != "cpu":
        raise Unsupported("OpenVINO's GPU is Intel's, which is not what `gpu` means here")
    return _Bench(dtype, threads)


class _Bench:
    def __init__(self, dtype: str, threads: int) -> None:
        self._core, self._dtype = ov.Core(), dtype
        self._settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": PRECISIONS[dtype],
        }

    def matmul(self, size: int) -> Call:
        x = ops.parameter([size, size], np.float32)
        weights = np.ones((size, size), np.float32)
        return self._call(x, ops.matmul(self._fed(x), self._weights(weights), False, False))

    def convolution(self, batch: int) -> Call:
        x = ops.parameter([batch, CHANNELS, INPUT_SIDE, INPUT_SIDE], np.float32)
        weights = self._weights(np.ones((CHANNELS, CHANNELS, KERNEL, KERNEL), np.float32))
        flat = ([1, 1], [0, 0], [0, 0], [1, 1])  # strides, padding at both ends, dilations
        return self._call(x, ops.convolution(self._fed(x), weights, *flat))

    def _fed(self, x: Any) -> Any:
        if self._dtype != "int8":
            return x
        low, high = (ops.constant(np.float32(n * SCALE)) for n in (-128, 127))
        return ops.fake_quantize(x, low, high, low, high, 256)

    def _weights(self, array: Any) -> Any:
        if self._dtype != "int8":
            return ops.constant(array)
        whole = ops.constant((array / SCALE).astype(np.int8))
        return ops.multiply(ops.convert(whole, "f32"), ops.constant(np.float32(SCALE)))

    def _call(self, x: Any, result: Any) -> Call:
        compiled = self._core.compile_model(ov.Model([result], [x]), "CPU", self._settings)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if used != PRECISIONS[self._dtype]:
            raise Unsupported(f"OpenVINO computes {self._dtype} as {used} on this CPU")
        request = compiled.create_infer_request()
        # Memory of its own: a request does not keep a NumPy array alive.
        fed = ov.Tensor(ov.Type.f32, compiled.inputs[0].shape)
        fed.data[:] = 1
        request.set_input_tensor(fed)

        def call() -> None:
            request.start_async()  # unlike infer(), it copies no results
            request.wait()

        return call
