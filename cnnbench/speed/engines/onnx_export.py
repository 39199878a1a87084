"""Writes ONNX files: a Keras model, such a file again in int8, and a single product."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from cnnbench.machine.backends import EXPORTERS
from cnnbench.models.user_errors import first_line

if TYPE_CHECKING:
    import keras

CALIBRATION_BATCH = 32

# Probabilities in steps of 1/256 would make ties; the layers before them are what takes time.
KEPT_IN_FLOAT = ("Sigmoid", "Softmax")


def export_onnx(model: keras.Model, path: Path, input_shape: tuple[int, int, int]) -> None:
    """Writes a model's inference as an ONNX file that takes any number of pictures.

    ONNX Runtime's basic optimizations tidy the file (they fold constants and move biases into
    convolutions). Untidied, OpenVINO ran torch's file at half the speed of TensorFlow's.

    Its input `pictures` is uint8 `(n, height, width, channels)`. Dropout and augmentation do
    nothing in the file.
    """
    import keras

    backend = keras.backend.backend()
    if backend not in EXPORTERS:
        raise ValueError(
            f"A model can't be exported to ONNX while Keras runs on {backend}. Expected one of "
            f"{', '.join(EXPORTERS)}; in cnnbench's clone, install one with "
            f"pip install '.[tensorflow]'. Received: backend={backend!r}"
        )
    # Augmentation is on unless switched off, and an exporter does not switch it off.
    inputs = keras.Input(input_shape, dtype="uint8", name="pictures")
    signature = [keras.InputSpec(shape=(None, *input_shape), dtype="uint8", name="pictures")]
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exporters warn of much that nobody can mend
        written, done = Path(folder, "written.onnx"), Path(folder, "done.onnx")
        try:
            inference = keras.Model(inputs, model(inputs, training=False))
            inference.export(str(written), format="onnx", input_signature=signature, verbose=False)
            # tf2onnx writes a file even where it has no word for a layer.
            onnxruntime.InferenceSession(str(written), providers=["CPUExecutionProvider"])
            # Symbolic shapes are for transformers, and would need one more package.
            quant_pre_process(str(written), str(done), skip_symbolic_shape=True)
        except Exception as error:  # a user's own model may hold any layer
            raise ValueError(
                f"The model can't be exported to ONNX: {first_line(error)} "
                f"Received: model={model.name!r}"
            ) from error
        done.replace(path)


def quantize_onnx(source: Path, target: Path, pictures: npt.NDArray[np.uint8]) -> None:
    """Writes an ONNX file again with int8 weights and activations (post-training, static).

    Weights have one scale per channel. Activations range from the smallest to the largest value
    seen on the pictures, which must not be held-out ones; 100 to 500 are usual. The probabilities
    at the end stay float32.
    """
    graph = onnx.load(str(source)).graph
    name, starts = graph.input[0].name, range(0, len(pictures), CALIBRATION_BATCH)
    batches = ({name: pictures[start : start + CALIBRATION_BATCH]} for start in starts)
    quantization.quantize_static(
        str(source),
        str(target),
        SimpleNamespace(get_next=lambda: next(batches, None)),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        nodes_to_exclude=[node.name for node in graph.node if node.op_type in KEPT_IN_FLOAT],
    )


def write_product(
    path: Path, kind: str, inputs: tuple[int, ...], weights: tuple[int, ...], int8: bool
) -> None:
    """Writes a network of one `MatMul` or `Conv`, in float32 or int8, whose weights are ones."""
    constants = {"w": np.ones(weights, np.int8 if int8 else np.float32)}
    dtype, nodes = "float", f"y = {kind}(x, w)"
    if int8:
        # Unsigned activations and signed weights, which CPUs multiply fastest.
        dtype, nodes = (
            "uint8",
            f"""fx = DequantizeLinear(x, scale, zero_x)
            fw = DequantizeLinear(w, scale, zero_w)
            fy = {kind}(fx, fw)
            y = QuantizeLinear(fy, scale, zero_x)""",
        )
        constants["scale"] = np.array(1 / 64, np.float32)
        constants |= {"zero_x": np.array(0, np.uint8), "zero_w": np.array(0, np.int8)}
    shape = ",".join(map(str, inputs))
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> product ({dtype}[{shape}] x) => ({dtype}[] y) '
        f"{{ {nodes} }}"
    )
    for name, array in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, str(path))
