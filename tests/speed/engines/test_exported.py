"""Models as ONNX files, in float32 and in int8, and the engines that run them."""

import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("tf2onnx")

import onnx

from cnnbench.machine.backends import Place, worker_environment
from cnnbench.models.network import build_model, targets_for
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures
from cnnbench.records.records import Placement, Row
from cnnbench.speed.engines import on_openvino
from cnnbench.speed.engines.on_onnxruntime import OnnxruntimeEngine
from cnnbench.speed.engines.on_openvino import OpenvinoEngine
from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx
from cnnbench.speed.throughput import measure_row

SHAPE = (24, 24, 3)
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (40, *SHAPE), dtype=np.uint8)
LABELS = RNG.integers(0, 2, 40)
PLACE = Place("onnxruntime", "cpu", 1)
FLOAT32 = Placement(("cpu",), ("float32",), ("float32",))
INT8 = Placement(("cpu",), ("int8",), ("int8",))

# Between them, they have every layer of the built-in variants.
SIGMOID = replace(VARIANTS["documented"], name="sigmoid", dropout=0.5)
SOFTMAX = replace(
    VARIANTS["functional"],
    name="softmax",
    augmentation=True,
    batch_normalization=True,
    pooling="global_average",
)


def trained(variant, classes):
    """A model after one step, so that batch normalization has statistics of its own."""
    keras.utils.set_random_seed(1)
    model = build_model(variant, SHAPE, classes)
    model.train_on_batch(PICTURES, targets_for(model, LABELS))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def expected(folder):
    """What Keras answers; the same model is in the folder, in float32 and in int8."""
    model = trained(SIGMOID, 2)
    answers = np.asarray(model.predict_on_batch(PICTURES))
    export_onnx(model, folder / "float32.onnx", SHAPE)
    quantize_onnx(folder / "float32.onnx", folder / "int8.onnx", PICTURES)
    return answers


@pytest.fixture(scope="module", params=[OpenvinoEngine, OnnxruntimeEngine])
def engine(request):
    return request.param(PLACE)


def program(engine, folder, dtype="float32", file=None):
    return engine.program(folder / f"{file or dtype}.onnx", dtype, batch_size=8)


def close(answers, expected):
    np.testing.assert_allclose(answers, expected, atol=1e-5, rtol=0)


def kinds_in(path):
    return {node.op_type for node in onnx.load(str(path)).graph.node}


# Files


def test_an_export_is_tidied_and_the_only_file(folder, expected):
    assert sorted(path.name for path in folder.iterdir()) == ["float32.onnx", "int8.onnx"]
    assert {"Add", "Constant", "Identity"}.isdisjoint(kinds_in(folder / "float32.onnx"))


def test_products_are_quantized_and_probabilities_are_not(folder, expected):
    graph = onnx.load(str(folder / "int8.onnx")).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    fed = {makers.get(node.input[0]) for node in graph.node if node.op_type == "Conv"}
    assert fed == {"DequantizeLinear"}
    assert makers[graph.output[0].name] == "Sigmoid"
    large = [constant for constant in graph.initializer if np.prod(constant.dims) > 500]
    assert {constant.data_type for constant in large} == {onnx.TensorProto.INT8}


def test_all_pictures_calibrate(folder, expected, tmp_path, capfd):
    dark = np.zeros((40, *SHAPE), np.uint8)
    for name, pictures in (("dark", dark), ("bright", np.concatenate([dark, PICTURES[:1]]))):
        quantize_onnx(folder / "float32.onnx", tmp_path / f"{name}.onnx", pictures)
    assert (tmp_path / "dark.onnx").read_bytes() != (tmp_path / "bright.onnx").read_bytes()
    assert capfd.readouterr() == ("", "")


def test_three_classes_answer_as_in_keras(tmp_path, capfd):
    model = trained(SOFTMAX, 3)
    expected = model.predict_on_batch(PICTURES)
    export_onnx(model, tmp_path / "float32.onnx", SHAPE)
    np.testing.assert_array_equal(model.predict_on_batch(PICTURES), expected)  # is as before
    close(program(OnnxruntimeEngine(PLACE), tmp_path).answer(PICTURES), expected)
    assert capfd.readouterr().out == ""


def test_jax_can_not_export(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"Keras runs on jax.*tensorflow, torch.*backend='jax'"):
        export_onnx(None, tmp_path / "model.onnx", SHAPE)


class Unknown(keras.layers.Layer):
    def call(self, x):
        return x + keras.ops.mean(keras.random.normal(keras.ops.shape(x), seed=1)) * 0


def test_a_layer_that_onnx_has_not_is_an_error(tmp_path):
    model = keras.Sequential([keras.Input(SHAPE), Unknown(), keras.layers.Flatten()], name="own")
    with pytest.raises(ValueError, match=r"can't be exported to ONNX: .*model='own'"):
        export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []


TORCH = f"""
import numpy, pathlib
from cnnbench.speed.engines.keras_model import model_of
from cnnbench.speed.engines.onnx_export import export_onnx
from cnnbench.models.variants import VARIANTS
model = model_of(VARIANTS["augmented"], 0, {SHAPE}, 2)
export_onnx(model, pathlib.Path("float32.onnx"), {SHAPE})
numpy.save("answers.npy", model.predict_on_batch(numpy.load("pictures.npy")))
"""


def test_torch_exports_the_same_answers(tmp_path):
    pytest.importorskip("torch")
    np.save(tmp_path / "pictures.npy", PICTURES)
    variables = worker_environment(Place("torch", "cpu", 1))
    subprocess.run([sys.executable, "-c", TORCH], cwd=tmp_path, env=variables, check=True)
    found = program(OnnxruntimeEngine(PLACE), tmp_path).answer(PICTURES)
    close(found, np.load(tmp_path / "answers.npy"))
    # A bias after a transposition halves OpenVINO's speed.
    assert "Add" not in kinds_in(tmp_path / "float32.onnx")


# Engines


@pytest.mark.parametrize("rows", [slice(1), slice(8), slice(None, None, 5)])
def test_answers_are_those_of_keras(engine, folder, expected, rows):
    found = program(engine, folder).answer(PICTURES[rows])
    assert found.dtype == np.float32
    close(found, expected[rows])


def test_int8_answers_nearly_as_float32(engine, folder, expected):
    ready = program(engine, folder, "int8")
    assert 0 < np.abs(ready.answer(PICTURES[:8]) - expected[:8]).max() < 0.02
    assert ready.placement() == INT8
    assert ready.backend_flops() is None
    assert engine.tf32() == ""


def test_a_step_leaves_the_answers_of_the_one_before(engine, folder, expected):
    ready = program(engine, folder)
    first = ready.run(*ready.inputs(Pictures(PICTURES[:8], LABELS[:8])))
    ready.answer(PICTURES[16:24])  # has an input of its own
    second = ready.run(engine.put(PICTURES[8:16]))
    engine.synchronize([first, second])
    close(engine.get(first), expected[:8])
    close(engine.get(second), expected[8:16])


def test_put_copies_and_get_gives_back(engine):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tensor = engine.put(array)
    array[:] = 0
    np.testing.assert_array_equal(engine.get(tensor), np.arange(12).reshape(3, 4))


def test_a_file_of_another_dtype_is_found_out(engine, folder, expected):
    assert program(engine, folder).placement() == FLOAT32
    assert program(engine, folder, "float32", file="int8").placement() == INT8
    assert program(engine, folder, "int8", file="float32").placement() == FLOAT32


@pytest.mark.parametrize("hint", [None, "bf16"])
def test_openvino_in_bfloat16_says_so_even_if_unasked(folder, expected, monkeypatch, hint):
    engine = OpenvinoEngine(PLACE)
    if "bfloat16" not in engine.dtypes():
        pytest.skip("this CPU does not compute in bfloat16")
    if hint:
        monkeypatch.setitem(on_openvino.HINTS, "float32", hint)
    ready = program(engine, folder, "float32" if hint else "bfloat16", file="float32")
    assert ready.placement().compute_dtypes == ("bfloat16",)


@pytest.mark.parametrize(("dtype", "capability"), [("bfloat16", "BF16"), ("float16", "FP16")])
def test_openvino_does_what_the_cpu_does(folder, dtype, capability):
    class Core:
        def get_property(self, device, name):
            return {"FP32", "BF16", "FP16", "INT8"} - {capability}

    engine = OpenvinoEngine(PLACE)
    engine.core = Core()
    with pytest.raises(ValueError, match=f"on this CPU.*float32, .*Received: dtype='{dtype}'"):
        program(engine, folder, dtype)


def test_openvino_has_the_threads_asked_for_and_a_program_for_single_pictures(folder, expected):
    ready = program(OpenvinoEngine(PLACE), folder)
    ready.answer(PICTURES[:1])
    assert sorted(ready.requests) == [1, 8]
    for request in ready.requests.values():
        assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


def test_onnxruntime_has_the_threads_asked_for_and_finds_int8_weights_multiplied_in_float32(
    folder, expected
):
    ready = program(OnnxruntimeEngine(PLACE), folder, "int8")
    assert ready.session.get_session_options().intra_op_num_threads == 1
    ready.optimized = (folder / "int8.onnx").read_bytes()  # before it was optimized
    assert ready.placement() == Placement(("cpu",), ("int8",), ("float32",))


def test_an_exported_model_is_measured(folder, expected, tiny_splits):
    row, path = Row("sigmoid", "inference", "float32", 8, 0), folder / "float32.onnx"
    found = measure_row(SIGMOID, row, tiny_splits, PLACE, rounds=1, warmup_rounds=0, exported=path)
    assert found.images_per_second > 0
    assert found.placement == FLOAT32
