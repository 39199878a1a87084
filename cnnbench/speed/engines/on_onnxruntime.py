"""ONNX Runtime on CPUs: inference of an exported model."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.records.measurements import Placement
from cnnbench.speed.engines.engine import Tensor
from cnnbench.speed.engines.onnx_export import required

DTYPES = ("float32", "int8")

# Which input of a node has the weights; names as ONNX Runtime's optimizer writes them.
_FLOAT_WEIGHTS = dict.fromkeys(
    ("Conv", "FusedConv", "NhwcFusedConv", "MatMul", "FusedMatMul", "Gemm", "FusedGemm"), 1
)
_INT8_WEIGHTS = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 3),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul"), 1),
}
_WARNINGS_OFF = 3  # ONNX Runtime's severity: errors only
_OUT_OF_MEMORY = ("bad_alloc", "out of memory", "failed to allocate memory")


class OnnxRuntimeEngine:
    """The CPU of this machine, on a number of threads.

    Raises:
        ValueError: if the package is absent.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.onnxruntime = required("onnxruntime", "onnxruntime")

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        # ONNX Runtime takes over a NumPy array's memory on CPUs, so the copy is made here.
        copied = np.array(array, order="C")
        return self.onnxruntime.OrtValue.ortvalue_from_numpy(copied)

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        return np.array(tensor if isinstance(tensor, np.ndarray) else tensor.numpy())

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Nothing is ever queued: `run` returns when its step is done."""

    def tf32(self) -> str:
        return ""

    def is_out_of_memory(self, error: BaseException) -> bool:
        text = str(error).lower()
        return isinstance(error, MemoryError) or any(part in text for part in _OUT_OF_MEMORY)

    def program(self, path: Path, dtype: str, batch_size: int) -> OnnxRuntimeProgram:
        """Loads and optimizes an exported model.

        Args:
            path: ONNX file; the quantized one for int8.
            dtype: `float32` or `int8`; the file decides, see `placement`.
            batch_size: not looked at; a program takes any number of pictures.

        Raises:
            ValueError: if the dtype is another one.
        """
        if dtype not in DTYPES:
            raise ValueError(
                "ONNX Runtime's CPU kernels do not compute in this dtype. Expected one of "
                f"{', '.join(DTYPES)}. Received: dtype={dtype!r}"
            )
        return OnnxRuntimeProgram(self, path)


class OnnxRuntimeProgram:
    """A session of ONNX Runtime, and the graph that its optimizer made."""

    def __init__(self, engine: OnnxRuntimeEngine, path: Path) -> None:
        self.engine = engine
        options = engine.onnxruntime.SessionOptions()
        options.intra_op_num_threads = engine.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _WARNINGS_OFF  # the optimized file is meant for this CPU only
        with tempfile.TemporaryDirectory() as folder:
            optimized = Path(folder, "optimized.onnx")
            options.optimized_model_filepath = str(optimized)
            self.session = engine.onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            self.optimized = optimized.read_bytes()
        self._input = self.session.get_inputs()[0].name
        self._outputs = [output.name for output in self.session.get_outputs()]
        self._binding = self.session.io_binding()
        self._bound: Tensor = None

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        # Handing values over costs 1.5 to 1.9 % of a step (1 thread, batch 32). They are bound
        # once, as a loop by hand does; what that gains was not told from noise.
        if pictures is not self._bound:
            self._binding.bind_ortvalue_input(self._input, pictures)
            self._binding.bind_output(self._outputs[0])
            self._bound = pictures
        self.session.run_with_iobinding(self._binding)
        # The next step would write over the value itself.
        return self._binding.copy_outputs_to_cpu()[0]

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        answers = self.session.run(self._outputs, {self._input: np.ascontiguousarray(pictures)})
        return np.asarray(answers[0], np.float32)

    def placement(self) -> Placement:
        """Reads the optimized graph that runs: its products' kinds and the dtypes of weights."""
        onnx = required("onnx", "onnxruntime")
        graph = onnx.load_from_string(self.optimized).graph
        constants = {constant.name: _dtype(onnx, constant) for constant in graph.initializer}
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
        return Placement(
            devices=tuple(sorted(p.removesuffix("ExecutionProvider").lower() for p in providers)),
            weight_dtypes=tuple(sorted(weights)),
            compute_dtypes=tuple(sorted(computed)),
        )

    def backend_flops(self, batch_size: int) -> float | None:
        return None  # ONNX Runtime counts none


def _dtype(onnx: Any, constant: Any) -> str:
    name = onnx.helper.tensor_dtype_to_np_dtype(constant.data_type).name
    return "int8" if name == "uint8" else str(name)
