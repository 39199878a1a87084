"""Measurements of real steps on tiny pictures, on each backend of Keras that is installed.

TensorFlow measures in the tests' own process, the others in one process each.
"""

import pickle
import subprocess
import sys
from unittest.mock import Mock

import engine_runs
import numpy as np
import pytest
import tensorflow as tf
from engine_runs import BATCH_SIZE, VARIANT
from factories import measurement

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, missing, worker_environment
from cnnbench.records.records import Placement, Row
from cnnbench.speed import reference as speed_reference
from cnnbench.speed import throughput
from cnnbench.speed.engines.engine import is_out_of_memory
from cnnbench.speed.engines.on_tensorflow import TensorflowEngine, TensorflowProgram
from cnnbench.verdicts.checks import speed as checks

TENSORFLOW = Place("tensorflow", "cpu", 1)


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in engine_runs.SHORT:
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def reference(tiny_splits, tmp_path_factory):
    """What TensorFlow answers, after training and before; the first batches are passed over."""
    path = tmp_path_factory.mktemp("reference") / "reference.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed_reference, "undecided_share", Mock(side_effect=[1.0] + [0.0] * 15))
        made = speed_reference.make_reference(VARIANT, tiny_splits, "train", BATCH_SIZE, 0, None)
    assert made.answers["train"].first_batch > 0
    made.save(path)
    return path


@pytest.fixture(scope="module", params=TRAINING_BACKENDS)
def found(request, tiny_splits, tiny_manifest, reference):
    """What a backend measured; only a process of its own looks for peaks."""
    place = Place(request.param, "cpu", 1)
    if missing(place.backend):
        pytest.skip(missing(place.backend))
    if place == TENSORFLOW:
        return engine_runs.everything(place, tiny_splits, reference)
    target = reference.with_name(place.backend)
    given = [engine_runs.__file__, place.backend, tiny_manifest, reference, target]
    subprocess.run([sys.executable, *given], env=worker_environment(place), check=True)
    return pickle.loads(target.read_bytes())


def verdict_of(check, record):
    result = check(record)
    return result if isinstance(result, str) else result.verdict


# What every backend does


@pytest.mark.parametrize("name", ["train", "inference", "bfloat16"])
def test_a_right_program_passes_every_check(found, tiny_splits, name):
    record = found[name]
    assert verdict_of(checks.check_same_answers, record) == "pass"
    assert record.agreement.pictures == len(tiny_splits.validation.names)
    assert record.agreement.probability_difference <= (0.01 if name == "bfloat16" else 1e-4)
    dtype = "bfloat16" if name == "bfloat16" else "float32"
    assert record.placement == Placement(("cpu",), ("float32",), (dtype,))
    if record.backend_flops_per_picture is not None:
        assert verdict_of(checks.check_flops, record) == "pass"
    # How linear time is depends on what else the machine does, which is nothing for a test.
    assert "the timer does not wait" not in checks.check_timer_waits(record).detail


def test_training_has_rounds_and_no_latency(found, tiny_splits):
    record = found["train"]
    assert len(record.round_seconds) == 2
    assert record.images_per_second > 0
    assert record.latency_seconds == ()
    assert record.row == Row(VARIANT.name, "train", "float32", BATCH_SIZE, 0)
    assert record.warmup_rounds == 1
    assert record.data_hash == tiny_splits.content_hash
    assert record.fingerprint == VARIANT.fingerprint()
    steady = min(record.round_seconds) / record.steps_per_round
    assert record.first_step_seconds > steady  # it builds and compiles
    assert 50 < record.peak_memory_mb < 24_000
    assert record.flops_per_picture > 2 * found["inference"].flops_per_picture > 0


def test_inference_has_latencies_of_single_pictures_and_copies(found):
    record = found["inference"]
    assert len(record.latency_seconds) == 5
    assert len(record.copy_seconds) == throughput.COPIES
    assert min(*record.copy_seconds, *record.latency_seconds) > 0
    assert record.backend_flops_per_picture
    assert record.telemetry
    assert record.tf32 == ""


def test_the_backend_counts_what_the_layers_do(found):
    for workload, (layers, backend) in found["counts"].items():
        if backend is not None:  # TensorFlow does not count training
            assert backend == pytest.approx(layers, rel=checks.COUNT_TOLERANCE[workload])


def test_peaks_are_measured_in_every_dtype(found):
    for dtype, peak in found.get("peaks", {}).items():
        assert peak.matmul_flops_per_second > 0
        # Keras has no int8 convolution.
        assert (peak.convolution_flops_per_second is None) == (dtype == "int8")


def test_a_timer_that_does_not_wait_is_found_and_only_the_first_step_is_compiled(found):
    if found["train"].place.backend != "jax":
        pytest.skip("on a CPU, JAX alone answers before it has computed")
    verdict = checks.check_timer_waits(measurement(timing=found["not waited for"]))
    assert verdict.verdict == "fail"
    assert "the timer does not wait" in verdict.detail
    assert found["compiled again"] == []


# Wrong programs and other rows, on TensorFlow


def measured(splits, workload="train", batch_size=8):
    row = Row(VARIANT.name, workload, "float32", batch_size, 0)
    return throughput.measure_row(VARIANT, row, splits, TENSORFLOW, rounds=2, warmup_rounds=0)


def test_a_batch_larger_than_the_set_repeats_pictures_and_has_no_reference(
    tiny_splits, monkeypatch
):
    monkeypatch.setattr(throughput, "Telemetry", Mock(return_value=(watch := Mock())))
    count = 2 * len(tiny_splits.train.names)
    result = measured(tiny_splits, "inference", count)
    assert result.row.batch_size == count
    assert result.agreement is result.flops_per_picture is None
    assert verdict_of(checks.check_same_answers, result) == "there is no reference"
    # A sample after each of the two rounds.
    assert [call[0] for call in watch.method_calls] == ["sample", "sample", "stop"]


def test_a_fast_wrong_answer_is_red(tiny_splits, reference, monkeypatch):
    real = TensorflowEngine.program

    def forgets_its_weights(self, model, workload):
        *others, kernel, bias = model.get_weights()
        wrong = np.random.default_rng(0).normal(0, 1, kernel.shape)
        model.set_weights([*others, wrong, bias])
        return real(self, model, workload)

    monkeypatch.setattr(TensorflowEngine, "program", forgets_its_weights)
    result = engine_runs.measured(TENSORFLOW, tiny_splits, reference, "inference")
    assert "largest probability difference" in checks.check_same_answers(result).detail
    assert verdict_of(checks.check_same_answers, result) == "fail"


def test_training_that_does_nothing_is_red(tiny_splits, reference, monkeypatch):
    real = TensorflowProgram.run

    def loss_alone(self, pictures, targets):
        before = self.model.get_weights()
        loss = real(self, pictures, targets)
        self.model.set_weights(before)
        return loss

    monkeypatch.setattr(TensorflowProgram, "run", loss_alone)
    result = engine_runs.measured(TENSORFLOW, tiny_splits, reference, "train")
    assert verdict_of(checks.check_same_answers, result) == "fail"


def test_a_full_memory_is_a_row_and_any_other_error_is_raised(tiny_splits, monkeypatch):
    monkeypatch.setattr(TensorflowProgram, "run", Mock(side_effect=MemoryError))
    result = measured(tiny_splits)
    assert result.out_of_memory
    assert (result.round_seconds, result.steps_per_round) == ((), 0)
    assert result.peak_memory_mb > 0
    monkeypatch.setattr(TensorflowProgram, "run", Mock(side_effect=RuntimeError("is gone")))
    with pytest.raises(RuntimeError, match="is gone"):
        measured(tiny_splits)


OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})  # as PyTorch's is called


@pytest.mark.parametrize(
    ("error", "is_known"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA ran out"), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("Unexpected input data type"), False),
    ],
)
def test_a_full_memory_is_known(error, is_known):
    assert is_out_of_memory(error) is is_known
