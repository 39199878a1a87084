"""ONNX Runtime on CPUs: inference of an exported model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from cnnbench.records.records import Placement
from cnnbench.speed.engines.engine import Array, HostEngine, Program, Tensor, placed

# Which input of a node has the weights; names as ONNX Runtime's optimizer writes them.
_FLOAT_WEIGHTS = dict.fromkeys(
    ("Conv", "FusedConv", "NhwcFusedConv", "MatMul", "FusedMatMul", "Gemm", "FusedGemm"), 1
)
_INT8_WEIGHTS = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 3),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul"), 1),
}
_ERRORS_ONLY = 3  # of ONNX Runtime's severities


class OnnxruntimeEngine(HostEngine):
    """The CPU of this machine, on a number of threads."""

    def send(self, array: Array) -> Tensor:
        # ONNX Runtime takes over a NumPy array's memory on CPUs, so the copy is made here.
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array, order="C"))

    def get(self, tensor: Tensor) -> Array:
        return np.array(tensor if isinstance(tensor, np.ndarray) else tensor.numpy())

    def program(self, path: Path, dtype: str, batch_size: int) -> OnnxruntimeProgram:
        """Loads and optimizes an ONNX file, which decides the dtype; takes any batch size."""
        return OnnxruntimeProgram(self, path)


class OnnxruntimeProgram(Program):
    """A session of ONNX Runtime, and the graph that its optimizer made."""

    def __init__(self, engine: OnnxruntimeEngine, path: Path) -> None:
        self.engine = engine
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = engine.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY  # the optimized file is for this CPU only
        with tempfile.TemporaryDirectory() as folder:
            optimized = Path(folder, "optimized.onnx")
            options.optimized_model_filepath = str(optimized)
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            self.optimized = optimized.read_bytes()
        self._input = self.session.get_inputs()[0].name
        self._output = self.session.get_outputs()[0].name
        self._binding = self.session.io_binding()
        self._bound: Tensor = None

    def compute(self, tensor: Tensor) -> None:
        # Handing values over costs 1.5 to 1.9 % of a step (1 thread, batch 32). They are bound
        # once, as a loop by hand does.
        if tensor is not self._bound:
            self._binding.bind_ortvalue_input(self._input, tensor)
            self._binding.bind_output(self._output)
            self._bound = tensor
        self.session.run_with_iobinding(self._binding)

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        self.compute(pictures)
        return self._binding.copy_outputs_to_cpu()[0]  # the next step overwrites the value

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        fed = {self._input: np.ascontiguousarray(pictures)}
        return np.asarray(self.session.run([self._output], fed)[0], np.float32)

    def placement(self) -> Placement:
        """Reads the optimized graph that runs: its products' kinds and the dtypes of weights."""
        graph = onnx.load_from_string(self.optimized).graph
        constants = {constant.name: _dtype(constant) for constant in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        weights, computed = set(), set()
        for node in graph.node:
            if node.op_type in _INT8_WEIGHTS:
                weights.add(constants.get(node.input[_INT8_WEIGHTS[node.op_type]], "unknown"))
                computed.add("int8")
            elif node.op_type in _FLOAT_WEIGHTS:
                name = node.input[_FLOAT_WEIGHTS[node.op_type]]
                computed.add(constants.get(name, "float32"))
                if name not in constants and makers[name].op_type == "DequantizeLinear":
                    name = makers[name].input[0]  # stored in int8, multiplied in float32
                weights.add(constants.get(name, "unknown"))
        providers = self.session.get_providers()
        devices = (name.removesuffix("ExecutionProvider").lower() for name in providers)
        return placed(devices, weights, computed)


def _dtype(constant: Any) -> str:
    name = onnx.helper.tensor_dtype_to_np_dtype(constant.data_type).name
    return "int8" if name == "uint8" else str(name)
