import subprocess
import sys

import keras
import numpy as np
import pytest
from few import few_or_all

from cnnbench.models.network import build_model, targets_for
from cnnbench.models.variants import VARIANTS
from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

# The others differ from these in numbers only.
KINDS = ("documented", "batchnorm", "augmented", "dropout", "global-pooling", "functional")

SHAPE = (24, 24, 3)
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (40, *SHAPE), dtype=np.uint8)
LABELS = RNG.integers(0, 2, 40)


def trained(variant="documented", classes=2):
    """A model after one step, so that batch normalization has statistics of its own."""
    keras.utils.set_random_seed(1)
    model = build_model(VARIANTS[variant], SHAPE, classes)
    model.train_on_batch(PICTURES, targets_for(model, LABELS, classes))
    return model


def answers(path, pictures=PICTURES):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"pictures": pictures})[0]


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_onnx(model, path, SHAPE)
    return path


@pytest.fixture(scope="module")
def quantized(exported):
    path = exported.with_name("int8.onnx")
    quantize_onnx(exported, path, PICTURES)
    return path


# Export


@pytest.mark.parametrize("variant", few_or_all(KINDS))
def test_every_kind_of_variant_answers_as_in_keras(tmp_path, variant):
    model = trained(variant)
    expected = np.asarray(model.predict_on_batch(PICTURES))
    export_onnx(model, tmp_path / "model.onnx", SHAPE)
    np.testing.assert_allclose(answers(tmp_path / "model.onnx"), expected, atol=1e-5, rtol=0)


def test_three_classes_answer_as_in_keras(tmp_path):
    model = trained(classes=3)
    export_onnx(model, tmp_path / "model.onnx", SHAPE)
    expected = np.asarray(model.predict_on_batch(PICTURES))
    np.testing.assert_allclose(answers(tmp_path / "model.onnx"), expected, atol=1e-5, rtol=0)


def test_the_file_takes_any_number_of_uint8_pictures(exported):
    assert [len(answers(exported, PICTURES[:n])) for n in (1, 7, 40)] == [1, 7, 40]


def test_the_file_is_tidied(exported):
    kinds = {node.op_type for node in onnx.load(str(exported)).graph.node}
    assert {"Add", "Constant", "Identity"}.isdisjoint(kinds)


def test_an_export_is_quiet_and_leaves_one_file(model, tmp_path, capfd):
    export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert capfd.readouterr().out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_an_exported_model_is_as_before(tmp_path):
    model = trained("batchnorm")
    before = np.asarray(model.predict_on_batch(PICTURES))
    export_onnx(model, tmp_path / "model.onnx", SHAPE)
    np.testing.assert_array_equal(np.asarray(model.predict_on_batch(PICTURES)), before)


def test_jax_can_not_export(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"Keras runs on jax.*tensorflow, torch.*backend='jax'"):
        export_onnx(model, tmp_path / "model.onnx", SHAPE)


class Unknown(keras.layers.Layer):
    def call(self, x):
        return x + keras.ops.mean(keras.random.normal(keras.ops.shape(x), seed=1)) * 0


def test_a_layer_that_onnx_has_not_is_an_error(tmp_path):
    model = keras.Sequential([keras.Input(SHAPE), Unknown(), keras.layers.Flatten()], name="own")
    with pytest.raises(ValueError, match=r"can't be exported to ONNX: .*model='own'"):
        export_onnx(model, tmp_path / "model.onnx", SHAPE)
    assert list(tmp_path.iterdir()) == []


def test_torch_exports_the_same_answers(tmp_path):
    pytest.importorskip("torch")
    code = f"""
import os
os.environ["KERAS_BACKEND"] = "torch"
import warnings
import numpy as np
from pathlib import Path
from cnnbench.speed.engines.onnx_export import export_onnx
from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
model = build_model(VARIANTS["augmented"], {SHAPE})
warnings.simplefilter("error")
export_onnx(model, Path("model.onnx"), {SHAPE})
warnings.simplefilter("default")
np.save("answers.npy", model.predict_on_batch(np.load("pictures.npy")))
"""
    np.save(tmp_path / "pictures.npy", PICTURES)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    expected = np.load(tmp_path / "answers.npy")
    np.testing.assert_allclose(answers(tmp_path / "model.onnx"), expected, atol=1e-5, rtol=0)
    kinds = [node.op_type for node in onnx.load(str(tmp_path / "model.onnx")).graph.node]
    assert "Add" not in kinds  # a bias after a transposition halves OpenVINO's speed


# int8


def test_a_quantized_model_answers_nearly_the_same(exported, quantized):
    difference = np.abs(answers(quantized) - answers(exported)).max()
    assert 0 < difference < 0.02


def test_products_are_quantized_and_probabilities_are_not(quantized):
    graph = onnx.load(str(quantized)).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    inputs = {
        kind: {makers.get(node.input[0]) for node in graph.node if node.op_type == kind}
        for kind in ("Conv", "Sigmoid")
    }
    assert inputs["Conv"] == {"DequantizeLinear"}
    assert makers[graph.output[0].name] == "Sigmoid"
    large = [constant for constant in graph.initializer if np.prod(constant.dims) > 500]
    assert {constant.data_type for constant in large} == {onnx.TensorProto.INT8}


def test_quantizing_is_quiet(exported, tmp_path, capfd, caplog):
    quantize_onnx(exported, tmp_path / "int8.onnx", PICTURES[:3])
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


def test_all_pictures_calibrate(exported, tmp_path):
    dark = np.zeros((40, *SHAPE), np.uint8)
    last_is_bright = np.concatenate([dark, PICTURES[:1]])
    for name, pictures in (("dark", dark), ("bright", last_is_bright)):
        quantize_onnx(exported, tmp_path / f"{name}.onnx", pictures)
    assert (tmp_path / "dark.onnx").read_bytes() != (tmp_path / "bright.onnx").read_bytes()
