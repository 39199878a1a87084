import importlib.util
import json
import os
import subprocess
import sys

import pytest

from cnnbench import flop_rules, flops
from cnnbench.backend_flops import backend_flops
from cnnbench.model import build_model
from cnnbench.peaks.limits import counts_agree
from cnnbench.variants import VARIANTS, variant_named

# Prints what the layers and the backend count, and whether counting changed a weight.
CHILD = """
import json, sys
import numpy as np
from cnnbench.backend_flops import backend_flops
from cnnbench.flops import inference_count, training_count
from cnnbench.model import build_model
from cnnbench.variants import variant_named
backend, *names = sys.argv[1:]
found = []
for name in names:
    model = build_model(variant_named(name), classes=3 if name == "wide" else 2)
    before = [np.asarray(value) for value in map(lambda w: w.numpy().copy(), model.variables)]
    for workload, count in (("inference", inference_count), ("train", training_count)):
        counted = backend_flops(backend, model, 8, workload)
        total = count(model).products + count(model).elementwise
        found.append((name, workload, count(model).products, total, counted / 8))
    assert all(np.array_equal(a, w.numpy()) for a, w in zip(before, model.variables))
    twice = backend_flops(backend, model, 16)
    assert abs(twice / backend_flops(backend, model, 8) - 2) < 1e-3
print(json.dumps(found))
"""
CHILD_VARIANTS = ("documented", "batchnorm", "augmented", "dropout", "wide")


def counted_by(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, backend, *CHILD_VARIANTS],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def built(name):
    return build_model(variant_named(name))


def tensorflow_agrees(model):
    counted = flops.inference_count(model).products
    return counts_agree(counted, backend_flops("tensorflow", model, 8) / 8, "inference")


@pytest.mark.parametrize("name", VARIANTS)
def test_tensorflow_counts_what_the_layers_do(name):
    assert tensorflow_agrees(built(name))


def test_tensorflow_counts_the_elementwise_operations_too():
    model = built("documented")
    ratio = backend_flops("tensorflow", model, 8) / 8 / flops.inference_count(model).everything(1)
    assert ratio == pytest.approx(1, abs=0.01)


def test_jax_counts_what_the_layers_do():
    for name, workload, products, total, counted in counted_by("jax"):
        assert counts_agree(products, counted, workload), name
        # What moves the pictures of `augmented` about has no rule of its own.
        close = 0.03 if name == "augmented" else 0.01
        assert counted == pytest.approx(total, rel=close), name


def test_torch_counts_the_products_of_the_layers():
    for name, workload, products, _, counted in counted_by("torch"):
        # Moving pictures about, as `augmented` does, multiplies small matrices.
        exact = name != "augmented" or workload == "inference"
        assert counted == pytest.approx(products, rel=1e-9 if exact else 0.01), name


def without_channels(call, training):
    count = flop_rules._convolution(call, training)
    return flop_rules.Count(count.products / call.inputs[0][-1], count.elementwise)


def nothing(call, training):
    return flop_rules.Count()


@pytest.mark.parametrize(
    ("layer", "rule"),
    [("Conv2D", without_channels), ("Conv2D", nothing), ("Dense", nothing)],
)
def test_a_wrong_count_of_a_layer_is_found(monkeypatch, layer, rule):
    kind = getattr(flop_rules.layers, layer)
    monkeypatch.setattr(flop_rules, "_RULES", (((kind,), rule), *flop_rules._RULES))
    assert not tensorflow_agrees(built("documented"))


def test_a_multiply_add_that_counts_once_is_found():
    model = built("documented")
    half = flops.inference_count(model).products / 2
    assert not counts_agree(half, backend_flops("tensorflow", model, 8) / 8, "inference")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_what_counts_nothing_says_so(backend):
    assert backend_flops(backend, built("documented"), 8) is None


def test_tensorflow_does_not_count_training():
    assert backend_flops("tensorflow", built("documented"), 8, "train") is None


def test_counting_says_nothing_on_the_way(capfd):
    backend_flops("tensorflow", built("documented"), 8)
    assert capfd.readouterr().out == ""
