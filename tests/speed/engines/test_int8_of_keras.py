import keras
import numpy as np
import pytest

from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
from cnnbench.speed.engines.keras_model import compute_dtypes, quantize_int8

SHAPE = (24, 24, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype=np.uint8)


def flat(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Flatten()], name="own")


@pytest.mark.parametrize("variant", ["documented", "batchnorm"])
def test_a_quantized_model_answers_nearly_the_same(variant):
    keras.utils.set_random_seed(1)
    model = build_model(VARIANTS[variant], SHAPE)
    before = np.asarray(model(PICTURES, training=False))
    assert compute_dtypes(model) == ("float32",)
    quantize_int8(model)
    assert compute_dtypes(model) == ("float32", "int8")  # Keras has no int8 convolution
    difference = np.abs(np.asarray(model(PICTURES, training=False)) - before).max()
    assert 0 < difference < 0.01


def test_a_dense_model_is_int8_throughout():
    model = keras.Sequential([keras.Input((8,)), keras.Sequential([keras.layers.Dense(4)])])
    quantize_int8(model)
    assert compute_dtypes(model) == ("int8",)


def test_the_dtype_of_a_mixed_model_is_that_of_its_layers():
    assert compute_dtypes(flat(keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16"))) == ("bfloat16",)


@pytest.mark.parametrize(
    ("layers", "named"), [((keras.layers.Conv2D, 2, 3), "Conv2D"), ((), "none")]
)
def test_a_model_without_dense_layers_is_an_error(layers, named):
    made = [layers[0](*layers[1:])] if layers else []
    with pytest.raises(ValueError, match=rf"can't quantize.*model='own', layers={named}"):
        quantize_int8(flat(*made))
