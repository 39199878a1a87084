from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.pictures.batches import Pictures
from cnnbench.records.records import Placement, Row
from cnnbench.speed.engines.engine import engine_for
from cnnbench.speed.engines.keras_model import compute_dtypes, model_of, quantize_int8
from cnnbench.speed.throughput import program_for

SHAPE = (24, 24, 3)
ENGINE = engine_for(Place("tensorflow", "cpu", 1))
PICTURES = np.random.default_rng(0).integers(0, 256, (16, *SHAPE), dtype=np.uint8)


def flat(*layers):
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Flatten()], name="own")


def test_an_int8_model_answers_nearly_the_same_and_is_partly_float32():
    model = model_of(VARIANTS["batchnorm"], 0, SHAPE, 2)
    quantized = model_of(VARIANTS["batchnorm"], 1, SHAPE, 2, "int8", model.get_weights())
    before, after = (np.asarray(one(PICTURES, training=False)) for one in (model, quantized))
    assert 0 < np.abs(after - before).max() < 0.01
    both = ("float32", "int8")  # Keras has no int8 convolution
    assert ENGINE.program(quantized, "inference").placement() == Placement(("cpu",), both, both)


def test_a_dense_model_is_int8_throughout():
    model = keras.Sequential([keras.Input((8,)), keras.Sequential([keras.layers.Dense(4)])])
    quantize_int8(model)
    assert compute_dtypes(model) == {"int8"}


def test_the_dtype_of_a_mixed_model_is_that_of_its_layers():
    assert compute_dtypes(flat(keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16"))) == {"bfloat16"}


@pytest.mark.parametrize(("kernels", "named"), [(1, "Conv2D"), (0, "none")])
def test_a_model_without_dense_layers_is_an_error(kernels, named):
    model = flat(*(keras.layers.Conv2D(2, 3) for _ in range(kernels)))
    with pytest.raises(ValueError, match=rf"can't quantize.*model='own', layers={named}"):
        quantize_int8(model)


def test_keras_keeps_its_dtype_policy():
    model = model_of(VARIANTS["single-block"], 0, SHAPE, 2, "float16")
    assert "float16" in compute_dtypes(model)
    assert keras.config.dtype_policy().name == "float32"


def test_where_a_tensor_is_is_read_off_its_name():
    device = "/job:localhost/replica:0/task:0/device:GPU:0"
    assert ENGINE.where(SimpleNamespace(device=device, dtype=tf.bfloat16)) == ("gpu", "bfloat16")
    assert ENGINE.where(ENGINE.put(PICTURES)) == ("cpu", "uint8")


def test_a_subclassed_model_is_placed_by_its_output():
    model = model_of(variant_named("faults:subclassed"), 0, SHAPE, 2, "bfloat16")
    placement = ENGINE.program(model, "inference").placement()
    assert placement == Placement(("cpu",), ("float32",), ("bfloat16",))


# Steps from host to host


@pytest.mark.parametrize("workload", ["train", "inference"])
def test_a_step_begins_and_ends_on_the_host(tiny_splits, workload):
    row = Row("single-block", workload, "float32", 16, 0)
    program = program_for(ENGINE, VARIANTS["single-block"], row, tiny_splits)
    weights = program.model.get_weights()
    inputs = program.inputs(Pictures(PICTURES, np.zeros(16, np.int64)))
    found = ENGINE.get(program.run(*inputs))
    assert isinstance(found, np.ndarray)
    assert found.shape == (() if workload == "train" else (16, 1))
    moved = any((a != b).any() for a, b in zip(weights, program.model.get_weights(), strict=True))
    assert moved == (workload == "train")
    # No accuracy is computed in a step that is timed.
    assert len(program.model.metrics_variables) == len(("total of losses", "count"))
