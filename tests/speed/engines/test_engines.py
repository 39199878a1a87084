"""Each of Keras' backends in a process of its own, measured rightly and wrongly on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnbench.machine.backends import TRAINING_BACKENDS, missing, worker_variables
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.data_set import Splits
from cnnbench.records.codec import decode
from cnnbench.records.measurements import Measurement, Workload
from cnnbench.speed.make_reference import make_reference
from cnnbench.verdicts.checks.speed import check_placement, check_same_answers, check_timer_waits

RUNS = Path(__file__).parents[2] / "engine_runs.py"
BATCH_SIZE = 32
Measured = dict[str, Measurement]


@pytest.fixture(scope="module")
def answers(tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what TensorFlow answers, which every backend is held against."""
    folder = tmp_path_factory.mktemp("answers")
    workloads: tuple[Workload, ...] = ("train", "inference")
    for workload in workloads:
        made = make_reference(VARIANTS["single-block"], tiny_splits, workload, BATCH_SIZE, 0, None)
        made.save(folder / f"{workload}.npz")
    return folder


# JAX and PyTorch take most of a minute each: `make slow` runs them.
BACKENDS = [
    pytest.param(name, marks=pytest.mark.slow if name != "tensorflow" else ())
    for name in TRAINING_BACKENDS
]


@pytest.fixture(scope="module", params=BACKENDS)
def measured(request: pytest.FixtureRequest, tiny_manifest: Path, answers: Path) -> Measured:
    backend = request.param
    if missing(backend):
        pytest.skip(missing(backend))
    done = subprocess.run(
        [sys.executable, str(RUNS), backend, str(tiny_manifest), str(answers)],
        env={**os.environ, **worker_variables(backend, "cpu", 1)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    records = {one["name"]: decode(one["record"]) for one in told}
    return {name: record for name, record in records.items() if isinstance(record, Measurement)}


@pytest.mark.parametrize("workload", ["train", "inference"])
def test_every_backend_answers_as_tensorflow_does(measured: Measured, workload: str) -> None:
    verdict = check_same_answers(measured[workload])
    assert verdict is not None
    assert verdict.verdict == "pass", verdict.detail


@pytest.mark.parametrize("workload", ["train", "inference"])
def test_placement_is_read_off_the_tensors(measured: Measured, workload: str) -> None:
    found = measured[workload].placement
    assert found is not None
    assert (found.devices, found.weight_dtypes) == (("cpu",), ("float32",))
    assert found.compute_dtypes == ("float32",)
    verdict = check_placement(measured[workload])
    assert verdict is not None
    assert verdict.verdict == "pass", verdict.detail


def test_a_row_of_another_device_is_found(measured: Measured) -> None:
    verdict = check_placement(replace(measured["inference"], device="gpu:1"))
    assert verdict is not None
    assert verdict.verdict == "fail"
    assert "tensors lie on cpu, expected gpu" in verdict.detail


def test_a_lower_precision_computes_in_it(measured: Measured) -> None:
    found = measured["bfloat16"].placement
    assert found is not None
    assert (found.weight_dtypes, found.compute_dtypes) == (("float32",), ("bfloat16",))
    for check in (check_placement, check_same_answers):
        verdict = check(measured["bfloat16"])
        assert verdict is not None
        assert verdict.verdict == "pass", verdict.detail


def test_a_wrong_dtype_is_found(measured: Measured) -> None:
    verdict = check_placement(measured["wrong dtype"])
    assert verdict is not None
    assert verdict.verdict == "fail"
    assert "layers compute in bfloat16, expected float32" in verdict.detail


def test_fast_wrong_answers_are_found(measured: Measured) -> None:
    verdict = check_same_answers(measured["wrong weights"])
    assert verdict is not None
    assert verdict.verdict == "fail"
    assert "largest probability difference" in verdict.detail


@pytest.mark.parametrize("name", ["train", "inference", "bfloat16"])
def test_nothing_is_left_when_the_clock_stops(measured: Measured, name: str) -> None:
    # How linear time is depends on what else the machine does, which is nothing for a test.
    verdict = check_timer_waits(measured[name])
    assert verdict is not None
    assert "the timer does not wait" not in verdict.detail


def test_a_timer_that_does_not_wait_is_found(measured: Measured) -> None:
    if measured["inference"].backend != "jax":
        pytest.skip("on a CPU, JAX alone answers before it has computed")
    verdict = check_timer_waits(measured["not waited for"])
    assert verdict is not None
    assert verdict.verdict == "fail"
    assert "the timer does not wait" in verdict.detail


def test_tensorflow_says_where_a_tensor_lies() -> None:
    import tensorflow as tf

    from cnnbench.speed.engines.on_tensorflow import TensorFlowEngine

    where = TensorFlowEngine("cpu").where
    device = "/job:localhost/replica:0/task:0/device:GPU:0"
    assert where(SimpleNamespace(device=device, dtype=tf.bfloat16)) == ("gpu", "bfloat16")
    with tf.device("/CPU:0"):
        assert where(tf.constant(1.0)) == ("cpu", "float32")


def test_keras_keeps_its_dtype_policy(tiny_splits: Splits) -> None:
    import keras

    from cnnbench.speed.engines.keras_model import model_of

    model = model_of(VARIANTS["single-block"], 0, tiny_splits.input_shape, 2, "float16")
    assert {layer.compute_dtype for layer in model.layers} >= {"float16"}
    assert keras.config.dtype_policy().name == "float32"


def test_random_layers_are_seen(tiny_splits: Splits) -> None:
    from cnnbench.speed.engines.keras_model import has_random_layers, model_of

    random = {
        name
        for name in ("single-block", "dropout")
        if has_random_layers(model_of(VARIANTS[name], 0, tiny_splits.input_shape, 2, "float32"))
    }
    assert random == {"dropout"}
