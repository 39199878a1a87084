"""OpenVINO on CPUs: inference of an exported model, compiled for one batch size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.machine.backends import Place, switch_off_telemetry
from cnnbench.records.records import Placement
from cnnbench.speed.engines.engine import Array, HostEngine, Program, Tensor, placed

# The precision of everything that the file leaves open, and the capability that it takes. Left
# alone, OpenVINO computes float32 models in bfloat16 on a CPU that can, and takes f16 for bf16 on
# one that can't, all without a word.
HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16", "int8": "INT8"}

_NAMES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "u8": "int8", "i8": "int8"}
_PRODUCTS = ("Convolution", "FullyConnected", "MatMul")  # where nearly all operations are


class OpenvinoEngine(HostEngine):
    """The CPU of this machine, on a number of threads."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        switch_off_telemetry()
        import openvino

        self.openvino, self.core = openvino, openvino.Core()

    def dtypes(self) -> tuple[str, ...]:
        """Returns the dtypes in which this CPU computes."""
        capabilities = self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return tuple(dtype for dtype, name in _CAPABILITIES.items() if name in capabilities)

    def send(self, array: Array) -> Tensor:
        return self.openvino.Tensor(np.ascontiguousarray(array))  # copies

    def get(self, tensor: Tensor) -> Array:
        return np.array(tensor if isinstance(tensor, np.ndarray) else tensor.data)

    def program(self, path: Path, dtype: str, batch_size: int) -> OpenvinoProgram:
        if dtype not in self.dtypes():
            raise ValueError(
                "OpenVINO does not compute in this dtype on this CPU. Expected one of "
                f"{', '.join(self.dtypes())}. Received: dtype={dtype!r}"
            )
        return OpenvinoProgram(self, path, HINTS[dtype], batch_size)


class OpenvinoProgram(Program):
    """A model compiled for a fixed batch size: with an open one it ran a fifth slower or more."""

    engine: OpenvinoEngine

    def __init__(self, engine: OpenvinoEngine, path: Path, hint: str, batch_size: int) -> None:
        self.engine, self.path, self.hint, self.batch_size = engine, path, hint, batch_size
        self.requests: dict[int, Any] = {}  # by batch size
        self._bound: Tensor = None
        self._request(batch_size)

    def _request(self, batch_size: int) -> Any:
        if batch_size not in self.requests:
            model = self.engine.core.read_model(str(self.path))
            model.reshape([batch_size, *list(model.input().get_partial_shape())[1:]])
            settings = {
                "INFERENCE_NUM_THREADS": self.engine.threads,
                "INFERENCE_PRECISION_HINT": self.hint,
                "PERFORMANCE_HINT": "LATENCY",  # all threads work on one step, as elsewhere
                "NUM_STREAMS": 1,
            }
            compiled = self.engine.core.compile_model(model, "CPU", settings)
            self.requests[batch_size] = compiled.create_infer_request()
        return self.requests[batch_size]

    def compute(self, tensor: Tensor) -> None:
        request = self._request(self.batch_size)
        if tensor is not self._bound:  # once is enough
            request.set_input_tensor(tensor)
            self._bound = tensor
        request.start_async()  # unlike infer(), it copies no results
        request.wait()

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        self.compute(pictures)
        request = self._request(self.batch_size)
        return request.get_output_tensor().data.copy()  # the next step overwrites the tensor

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # A single picture has a program of its own, or its latency would be that of a batch.
        request, self._bound = self._request(len(pictures)), None
        fed = self.engine.openvino.Tensor(np.ascontiguousarray(pictures), shared_memory=True)
        request.set_input_tensor(fed)
        request.infer()
        return np.array(request.get_output_tensor().data, np.float32)

    def placement(self) -> Placement:
        """Reads the program that the plugin really made: its layers' precisions and devices."""
        compiled = self._request(self.batch_size).get_compiled_model()
        layers = [
            operation
            for operation in compiled.get_runtime_model().get_ops()
            if _runtime_info(operation, "layerType") in _PRODUCTS
        ]
        weights = (layer.input(1).get_element_type().get_type_name() for layer in layers)
        computed = (_runtime_info(layer, "runtimePrecision") for layer in layers)
        return placed(
            devices=(name.lower() for name in compiled.get_property("EXECUTION_DEVICES")),
            weight_dtypes=(_NAMES.get(name, name) for name in weights),
            compute_dtypes=(_NAMES.get(name, name) for name in computed),
        )


def _runtime_info(operation: Any, key: str) -> str:
    info = operation.get_rt_info()  # no dictionary: it has no get()
    return str(info[key].astype(str)) if key in info else ""
