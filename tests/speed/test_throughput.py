"""Measurements of real steps on tiny pictures, on each backend of Keras that is installed.

TensorFlow measures in the tests' own process, the others in one process each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import engine_runs
import numpy as np
import pytest
from engine_runs import BATCH_SIZE, VARIANT

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, missing, worker_environment
from cnnbench.records.journal import decode
from cnnbench.records.records import Placement, Row
from cnnbench.speed import throughput
from cnnbench.speed.engines.engine import is_out_of_memory
from cnnbench.speed.engines.on_tensorflow import TensorflowEngine, TensorflowProgram
from cnnbench.speed.reference import make_reference
from cnnbench.speed.throughput import measure_row
from cnnbench.verdicts.checks.speed import (
    COUNT_TOLERANCE,
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)


@pytest.fixture(scope="module", autouse=True)
def short():
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in engine_runs.SHORT:
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="module")
def reference(tiny_splits, tmp_path_factory):
    """What TensorFlow answers, after training and before."""
    path = tmp_path_factory.mktemp("reference") / "reference.npz"
    make_reference(VARIANT, tiny_splits, "train", BATCH_SIZE, 0, None).save(path)
    return path


@pytest.fixture(scope="module", params=TRAINING_BACKENDS)
def found(request, tiny_splits, tiny_manifest, reference):
    """What a backend measured; only a process of its own looks for peaks."""
    backend = request.param
    if missing(backend):
        pytest.skip(missing(backend))
    if backend == "tensorflow":
        records = engine_runs.records(backend, tiny_splits, reference)
        return SimpleNamespace(records=records, counts=engine_runs.counts(backend), peaks={})
    done = subprocess.run(
        [sys.executable, engine_runs.__file__, backend, str(tiny_manifest), str(reference)],
        env=worker_environment(Place(backend, "cpu", 1)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    records = {name: decode(data) for name, data in told.pop("records").items()}
    return SimpleNamespace(records=records, **told)


def judged(result):
    assert not isinstance(result, str), result
    return result


# What every backend does


@pytest.mark.parametrize("name", ["train", "inference", "bfloat16"])
def test_a_right_program_passes_every_check(found, name):
    record = found.records[name]
    for check in (check_same_answers, check_placement):
        assert judged(check(record)).verdict == "pass", judged(check(record)).detail
    if record.backend_flops_per_picture is not None:
        assert judged(check_flops(record)).verdict == "pass"
    # How linear time is depends on what else the machine does, which is nothing for a test.
    assert "the timer does not wait" not in judged(check_timer_waits(record)).detail


@pytest.mark.parametrize("name", ["train", "inference"])
def test_answers_are_those_of_the_reference(found, tiny_splits, name):
    agreement = found.records[name].agreement
    assert agreement.pictures == len(tiny_splits.validation.names)
    assert agreement.probability_difference <= 1e-4


@pytest.mark.parametrize(
    ("name", "dtype"), [("train", "float32"), ("inference", "float32"), ("bfloat16", "bfloat16")]
)
def test_placement_is_read_off_the_tensors(found, name, dtype):
    assert found.records[name].placement == Placement(("cpu",), ("float32",), (dtype,))


def test_a_wrong_dtype_and_another_device_are_red(found):
    record = found.records["bfloat16"]
    row, place = replace(record.row, dtype="float32"), replace(record.place, device="gpu:1")
    detail = judged(check_placement(replace(record, row=row, place=place))).detail
    assert "layers compute in bfloat16, expected float32" in detail
    assert "tensors lie on cpu, expected gpu" in detail


def test_training_has_rounds_and_no_latency(found, tiny_splits):
    record = found.records["train"]
    assert len(record.round_seconds) == 2
    assert record.images_per_second > 0
    assert record.latency_seconds == ()
    assert (record.row, record.warmup_rounds) == (Row(VARIANT.name, "train", "float32", 8, 0), 1)
    assert record.data_hash == tiny_splits.content_hash
    assert record.fingerprint == VARIANT.fingerprint()
    steady = min(record.round_seconds) / record.steps_per_round
    assert record.first_step_seconds > steady  # it builds and compiles
    assert 50 < record.peak_memory_mb < 24_000
    assert record.flops_per_picture > 2 * found.records["inference"].flops_per_picture > 0


def test_inference_has_latencies_of_single_pictures_and_copies(found):
    record = found.records["inference"]
    assert len(record.latency_seconds) == 5
    assert len(record.copy_seconds) == throughput.COPIES
    assert min(*record.copy_seconds, *record.latency_seconds) > 0
    assert record.backend_flops_per_picture
    assert record.telemetry
    assert record.tf32 == ""


def test_the_backend_counts_what_the_layers_do(found):
    for workload, layers, backend in found.counts:
        if backend is not None:  # TensorFlow does not count training
            assert backend == pytest.approx(layers, rel=COUNT_TOLERANCE[workload])


def test_peaks_are_measured_in_every_dtype(found):
    for dtype, peak in found.peaks.items():
        assert peak["matmul_flops_per_second"] > 0
        # Keras has no int8 convolution.
        assert (peak["convolution_flops_per_second"] is None) == (dtype == "int8")


def test_a_timer_that_does_not_wait_is_found_and_only_the_first_step_is_compiled(found):
    if found.records["inference"].place.backend != "jax":
        pytest.skip("on a CPU, JAX alone answers before it has computed")
    verdict = judged(check_timer_waits(found.records["not waited for"]))
    assert verdict.verdict == "fail"
    assert "the timer does not wait" in verdict.detail
    assert found.compiled_again == 0


# Wrong programs and other rows, on TensorFlow


def measured(splits, workload="train", batch_size=8):
    return measure_row(
        VARIANT,
        Row(VARIANT.name, workload, "float32", batch_size, 0),
        splits,
        Place("tensorflow", "cpu", 1),
        rounds=1,
        warmup_rounds=0,
    )


def test_a_batch_larger_than_the_set_repeats_pictures_and_has_no_reference(
    tiny_splits,
):
    count = 2 * len(tiny_splits.train.names)
    result = measured(tiny_splits, "inference", count)
    assert result.row.batch_size == count
    assert result.agreement is result.flops_per_picture is None
    assert isinstance(check_same_answers(result), str)


def test_a_fast_wrong_answer_is_red(tiny_splits, reference, monkeypatch):
    real = TensorflowEngine.program

    def forgets_its_weights(self, model, workload):
        *others, kernel, bias = model.get_weights()
        wrong = np.random.default_rng(0).normal(0, 1, kernel.shape)
        model.set_weights([*others, wrong, bias])
        return real(self, model, workload)

    monkeypatch.setattr(TensorflowEngine, "program", forgets_its_weights)
    verdict = judged(
        check_same_answers(engine_runs.measured("tensorflow", tiny_splits, reference, "inference"))
    )
    assert verdict.verdict == "fail"
    assert "largest probability difference" in verdict.detail


def test_training_that_does_nothing_is_red(tiny_splits, reference, monkeypatch):
    real = TensorflowProgram.run

    def loss_alone(self, pictures, targets):
        before = self.model.get_weights()
        loss = real(self, pictures, targets)
        self.model.set_weights(before)
        return loss

    monkeypatch.setattr(TensorflowProgram, "run", loss_alone)
    result = engine_runs.measured("tensorflow", tiny_splits, reference, "train")
    assert judged(check_same_answers(result)).verdict == "fail"


def test_a_full_memory_is_a_row(tiny_splits, monkeypatch):
    def full(*arguments):
        raise MemoryError

    monkeypatch.setattr(TensorflowProgram, "run", full)
    result = measured(tiny_splits)
    assert result.out_of_memory
    assert (result.round_seconds, result.steps_per_round) == ((), 0)
    assert result.peak_memory_mb > 0
    for check in (check_timer_waits, check_placement, check_same_answers):
        assert check(result) == "batch size 8 does not fit into memory"


def test_any_other_error_is_raised(tiny_splits, monkeypatch):
    def broken(self, outputs):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(TensorflowEngine, "synchronize", broken)
    with pytest.raises(RuntimeError, match="the device is gone"):
        measured(tiny_splits)


OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})  # as PyTorch's is called


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA ran out"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_full_memory_is_known(error):
    assert is_out_of_memory(error)


def test_tensorflows_full_memory_is_known():
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("Unexpected input data type"))
