"""OpenVINO on CPUs: inference of an exported model, compiled for one batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.machine.backends import switch_off_telemetry
from cnnbench.records.measurements import Placement
from cnnbench.speed.engines.engine import Tensor
from cnnbench.speed.engines.onnx_export import required

DTYPES = ("float32", "bfloat16", "float16", "int8")

# The precision of everything that the file leaves open, and the capability that it takes. Left
# alone, OpenVINO computes float32 models in bfloat16 on a CPU that can, and it takes f16 for bf16
# on one that can't, all without a word.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16", "int8": "INT8"}

_NAMES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "u8": "int8", "i8": "int8"}
_PRODUCTS = ("Convolution", "FullyConnected", "MatMul")  # where nearly all operations are
_OUT_OF_MEMORY = ("bad_alloc", "out of memory", "out_of_memory", "failed to allocate")


class OpenVinoEngine:
    """The CPU of this machine, on a number of threads.

    Raises:
        ValueError: if the package is absent.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        switch_off_telemetry()
        self.openvino = required("openvino", "openvino")
        self.core = self.openvino.Core()

    def dtypes(self) -> tuple[str, ...]:
        """Returns the dtypes in which this CPU computes."""
        capabilities = self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return tuple(dtype for dtype in DTYPES if _CAPABILITIES[dtype] in capabilities)

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        return self.openvino.Tensor(np.ascontiguousarray(array))  # copies

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        return np.array(tensor if isinstance(tensor, np.ndarray) else tensor.data)

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Nothing is ever queued: `run` returns when its step is done."""

    def tf32(self) -> str:
        return ""

    def is_out_of_memory(self, error: BaseException) -> bool:
        text = str(error).lower()
        return isinstance(error, MemoryError) or any(part in text for part in _OUT_OF_MEMORY)

    def program(self, path: Path, dtype: str, batch_size: int) -> OpenVinoProgram:
        """Compiles an exported model.

        Args:
            path: ONNX file; the quantized one for int8.
            dtype: `float32`, `bfloat16`, `float16` or `int8`.
            batch_size: pictures in a step.

        Raises:
            ValueError: if this CPU does not compute in that dtype.
        """
        if dtype not in self.dtypes():
            raise ValueError(
                "OpenVINO does not compute in this dtype on this CPU. Expected one of "
                f"{', '.join(self.dtypes())}. Received: dtype={dtype!r}"
            )
        return OpenVinoProgram(self, path, _HINTS[dtype], batch_size)


class OpenVinoProgram:
    """A model compiled for a fixed batch size: with an open one it ran a fifth slower or more."""

    def __init__(self, engine: OpenVinoEngine, path: Path, hint: str, batch_size: int) -> None:
        self.engine, self.path, self.hint, self.batch_size = engine, path, hint, batch_size
        self._requests: dict[int, Any] = {}
        self._bound: Tensor = None
        self._compiled(batch_size)

    def _compiled(self, batch_size: int) -> Any:
        """Returns the request for a batch size, kept for the next call."""
        if batch_size not in self._requests:
            model = self.engine.core.read_model(str(self.path))
            model.reshape([batch_size, *list(model.input().get_partial_shape())[1:]])
            settings = {
                "INFERENCE_NUM_THREADS": self.engine.threads,
                "INFERENCE_PRECISION_HINT": self.hint,
                "PERFORMANCE_HINT": "LATENCY",  # all threads work on one step, as elsewhere
                "NUM_STREAMS": 1,
            }
            compiled = self.engine.core.compile_model(model, "CPU", settings)
            self._requests[batch_size] = compiled.create_infer_request()
        return self._requests[batch_size]

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        request = self._compiled(self.batch_size)
        if pictures is not self._bound:  # once is enough
            request.set_input_tensor(pictures)
            self._bound = pictures
        request.infer()
        # The next step would write over the tensor itself.
        return request.get_output_tensor().data.copy()

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # A single picture has a program of its own, or its latency would be that of a batch.
        size = 1 if len(pictures) == 1 else self.batch_size
        request, self._bound = self._compiled(size), None
        answers = []
        for start in range(0, len(pictures), size):
            batch = np.ascontiguousarray(pictures[start : start + size])
            count = len(batch)
            if count < size:
                batch = batch[np.arange(size) % count]
            request.set_input_tensor(self.engine.openvino.Tensor(batch, shared_memory=True))
            request.infer()
            answers.append(request.get_output_tensor().data[:count].copy())
        return np.concatenate(answers).astype(np.float32, copy=False)

    def placement(self) -> Placement:
        """Reads the program that the plugin really made: its layers' precisions and devices."""
        compiled = self._compiled(self.batch_size).get_compiled_model()
        layers = [
            operation
            for operation in compiled.get_runtime_model().get_ops()
            if _runtime_info(operation, "layerType") in _PRODUCTS
        ]
        return Placement(
            devices=_names(name.lower() for name in compiled.get_property("EXECUTION_DEVICES")),
            weight_dtypes=_names(
                _dtype(layer.input(1).get_element_type().get_type_name()) for layer in layers
            ),
            compute_dtypes=_names(
                _dtype(_runtime_info(layer, "runtimePrecision")) for layer in layers
            ),
        )

    def backend_flops(self, batch_size: int) -> float | None:
        return None  # OpenVINO counts none


def _runtime_info(operation: Any, key: str) -> str:
    info = operation.get_rt_info()  # no dictionary: it has no get()
    return str(info[key].astype(str)) if key in info else ""


def _dtype(name: str) -> str:
    return _NAMES.get(name, name)


def _names(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
