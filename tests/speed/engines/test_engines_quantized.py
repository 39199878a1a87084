import keras
import numpy as np
import pytest

from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
from cnnbench.speed.engines.quantized import compute_dtypes, quantize_int8

SHAPE = (24, 24, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype=np.uint8)


def built(variant="documented"):
    keras.utils.set_random_seed(1)
    return build_model(VARIANTS[variant], SHAPE)


def flat(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Flatten()], name="own")


@pytest.mark.parametrize("variant", ["documented", "batchnorm", "augmented"])
def test_a_quantized_model_answers_nearly_the_same(variant):
    model = built(variant)
    before = np.asarray(model(PICTURES, training=False))
    quantize_int8(model)
    difference = np.abs(np.asarray(model(PICTURES, training=False)) - before).max()
    assert 0 < difference < 0.01


def test_dense_layers_hold_int8_weights():
    model = built()
    quantize_int8(model)
    held = [layer for layer in model.layers if "int8" in {w.dtype for w in layer.weights}]
    assert [type(layer).__name__ for layer in held] == ["Dense", "Dense"]


def test_convolutions_go_on_in_float32():
    model = built()
    assert compute_dtypes(model) == ("float32",)
    quantize_int8(model)
    assert compute_dtypes(model) == ("float32", "int8")


def test_a_dense_model_is_int8_throughout():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    quantize_int8(model)
    assert compute_dtypes(model) == ("int8",)


def test_the_dtype_of_a_mixed_model_is_that_of_its_layers():
    model = flat(keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16"))
    assert compute_dtypes(model) == ("bfloat16",)


def test_nested_models_are_quantized():
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    model = keras.Sequential([keras.Input((8,)), inner])
    quantize_int8(model)
    assert compute_dtypes(model) == ("int8",)


def test_a_model_without_dense_layers_is_an_error():
    with pytest.raises(ValueError, match=r"no layer.*to quantize.*model='own', layers=Conv2D"):
        quantize_int8(flat(keras.layers.Conv2D(2, 3)))


def test_a_model_without_weights_is_an_error():
    with pytest.raises(ValueError, match=r"no layer.*to quantize.*layers=none"):
        quantize_int8(flat())


def test_a_model_is_quantized_once():
    model = built()
    quantize_int8(model)
    names = ", ".join(layer.name for layer in model.layers if isinstance(layer, keras.layers.Dense))
    with pytest.raises(ValueError, match=f"in int8 already.*int8 layers={names}"):
        quantize_int8(model)


def test_a_model_is_built_first():
    with pytest.raises(ValueError, match=r"must be built.*model='unbuilt'"):
        quantize_int8(keras.Sequential([keras.layers.Dense(1)], name="unbuilt"))
