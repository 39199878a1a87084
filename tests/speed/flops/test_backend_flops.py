import importlib.util
import json
import os
import subprocess
import sys

import pytest

from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.speed.flops.backend_flops import backend_flops
from cnnbench.speed.flops.model_flops import inference_flops
from cnnbench.speed.limits import counts_agree

# Prints what the layers and the backend count, and whether counting changed a weight.
CHILD = """
import json, sys
import numpy as np
from cnnbench.speed.flops.backend_flops import backend_flops
from cnnbench.speed.flops.model_flops import inference_flops
from cnnbench.speed.flops.model_flops import training_flops
from cnnbench.models.network import build_model
from cnnbench.models.variants import variant_named
backend, *names = sys.argv[1:]
found = []
for name in names:
    model = build_model(variant_named(name), classes=3 if name == "wide" else 2)
    before = [np.asarray(value) for value in map(lambda w: w.numpy().copy(), model.variables)]
    for workload, count in (("inference", inference_flops), ("train", training_flops)):
        counted = backend_flops(backend, model, 8, workload)
        found.append((name, workload, count(model), counted / 8))
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


@pytest.mark.parametrize("name", VARIANTS)
def test_tensorflow_counts_what_the_layers_do(name):
    model = built(name)
    counted = backend_flops("tensorflow", model, 8) / 8
    assert counts_agree(inference_flops(model), counted, "inference")


def test_jax_counts_what_the_layers_do():
    for name, workload, products, counted in counted_by("jax"):
        assert counts_agree(products, counted, workload), name


def test_torch_counts_the_products_of_the_layers():
    for name, workload, products, counted in counted_by("torch"):
        # Moving pictures about, as `augmented` does, multiplies small matrices.
        exact = name != "augmented" or workload == "inference"
        assert counted == pytest.approx(products, rel=1e-9 if exact else 0.01), name


FIRST, DENSE = 2 * 62 * 62 * 32 * 27, 2 * 14 * 14 * 32 * 128  # of the documented CNN


@pytest.mark.parametrize(
    "wrong",
    [
        lambda flops: flops - FIRST + FIRST / 3,
        lambda flops: flops - DENSE,
        lambda flops: flops / 2,
    ],
    ids=["convolution without channels", "no dense layer", "multiply-add as one"],
)
def test_a_wrong_count_is_found(wrong):
    model = built("documented")
    counted = backend_flops("tensorflow", model, 8) / 8
    assert not counts_agree(wrong(inference_flops(model)), counted, "inference")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_what_counts_nothing_says_so(backend):
    assert backend_flops(backend, built("documented"), 8) is None


def test_tensorflow_does_not_count_training():
    assert backend_flops("tensorflow", built("documented"), 8, "train") is None


def test_counting_says_nothing_on_the_way(capfd):
    backend_flops("tensorflow", built("documented"), 8)
    assert capfd.readouterr().out == ""
