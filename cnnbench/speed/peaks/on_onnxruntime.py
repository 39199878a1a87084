"""The peak's works in ONNX Runtime. Runs in a worker.

The second operand is a weight, as in a network. Shapes are NCHW, as ONNX has them. On CPUs without
kernels for float16, ONNX Runtime casts to float32 and back: that is then its float16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from cnnbench.speed.peaks.sizes import CHANNELS, INPUT_SIDE, KERNEL, SIDE, Bench, Call, Unsupported

OPSET, IR_VERSION = 17, 8
PROVIDERS = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}


def bench(device: str, dtype: str, threads: int) -> Bench:
    """Returns the works on a device, with this number of threads (CPU)."""
    if PROVIDERS[device] not in ort.get_available_providers():
        raise Unsupported(f"This ONNX Runtime has no {PROVIDERS[device]}")
    if dtype == "bfloat16" or (dtype == "int8" and device == "gpu"):
        raise Unsupported(f"ONNX Runtime has no kernels for {dtype} on {device}")
    return _Bench(device, dtype, threads)


class _Bench:
    def __init__(self, device: str, dtype: str, threads: int) -> None:
        self._device, self._dtype, self._threads = device, dtype, threads

    def matmul(self, size: int) -> Call:
        return self._product("MatMul", (size, size), (size, size), (size, size))

    def convolution(self, batch: int) -> Call:
        x = (batch, CHANNELS, INPUT_SIDE, INPUT_SIDE)
        weights = (CHANNELS, CHANNELS, KERNEL, KERNEL)
        return self._product("Conv", x, weights, (batch, CHANNELS, SIDE, SIDE))

    def _product(
        self, name: str, x: tuple[int, ...], weights: tuple[int, ...], out: tuple[int, ...]
    ) -> Call:
        if self._dtype != "int8":
            dtype = np.dtype(self._dtype)
            arrays = np.ones(x, dtype), np.empty(out, dtype), {"w": np.ones(weights, dtype)}
            return self._call(name, ["x", "w"], *arrays)
        # Unsigned activations and signed weights, which CPUs multiply fastest.
        scale = np.array(1.0, np.float32)
        stored = {"w": np.ones(weights, np.int8), "scale": scale}
        stored |= {"zero": np.array(0, np.uint8), "zero_w": np.array(0, np.int8)}
        inputs = ["x", "scale", "zero", "w", "scale", "zero_w", "scale", "zero"]
        return self._call(
            f"QLinear{name}", inputs, np.ones(x, np.uint8), np.empty(out, np.uint8), stored
        )

    def _call(
        self,
        name: str,
        inputs: list[str],
        x: Any,
        out: Any,
        stored: dict[str, Any],
    ) -> Call:
        graph = helper.make_graph(
            [helper.make_node(name, inputs, ["y"])],
            "peak",
            [helper.make_tensor_value_info("x", _type(x), x.shape)],
            [helper.make_tensor_value_info("y", _type(out), out.shape)],
            [numpy_helper.from_array(array, key) for key, array in stored.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        session = ort.InferenceSession(
            model.SerializeToString(), options, providers=[PROVIDERS[self._device]]
        )
        if session.get_providers()[0] != PROVIDERS[self._device]:
            raise Unsupported(f"ONNX Runtime can't load {PROVIDERS[self._device]}")
        # Bound to memory of the device: nothing is copied or allocated in a call.
        where = "cuda" if self._device == "gpu" else "cpu"
        fed = ort.OrtValue.ortvalue_from_numpy(x, where, 0)
        result = ort.OrtValue.ortvalue_from_numpy(out, where, 0)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", fed)
        binding.bind_ortvalue_output("y", result)

        def call() -> None:
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return call


def _type(array: Any) -> int:
    types = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
    return int({**types, "uint8": TensorProto.UINT8}[str(array.dtype)])
