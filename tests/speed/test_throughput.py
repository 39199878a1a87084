"""Measurements of real steps on tiny pictures, on each backend of Keras that is installed.

TensorFlow measures in the tests' own process, the others in one process each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import engine_runs
import numpy as np
import pytest
from engine_runs import BATCH_SIZE, ROWS, VARIANT

from cnnbench.machine.backends import TRAINING_BACKENDS, missing, worker_environment
from cnnbench.machine.place import Place
from cnnbench.pictures.data_set import Splits
from cnnbench.records.checks import CheckResult
from cnnbench.records.codec import decode
from cnnbench.records.measurements import Measurement, Row, Workload
from cnnbench.speed import throughput, timing
from cnnbench.speed.engines.engine import is_out_of_memory
from cnnbench.speed.engines.on_tensorflow import TensorFlowEngine, TensorFlowProgram
from cnnbench.speed.limits import COUNT_TOLERANCE
from cnnbench.speed.make_reference import make_reference
from cnnbench.speed.throughput import measure_row
from cnnbench.verdicts.checks.speed import (
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)


@dataclass(frozen=True)
class Found:
    """What a backend measured; only a process of its own looks for peaks."""

    records: dict[str, Measurement]
    counts: list[tuple[Workload, float | None, float | None]]
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    compiled_again: int = 0


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (throughput, "LATENCY_CALLS"),
            (throughput, "LATENCY_WARMUP_CALLS"),
            (timing, "MINIMUM_ROUND_SECONDS"),
        ):
            patch.setattr(module, name, getattr(module, name))  # undone afterwards
        engine_runs.shorten()
        yield


@pytest.fixture(scope="module")
def reference(tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What TensorFlow answers, after training and before."""
    path = tmp_path_factory.mktemp("reference") / "reference.npz"
    make_reference(VARIANT, tiny_splits, "train", BATCH_SIZE, 0, None).save(path)
    return path


@pytest.fixture(scope="module", params=TRAINING_BACKENDS)
def found(
    request: pytest.FixtureRequest, tiny_splits: Splits, tiny_manifest: Path, reference: Path
) -> Found:
    backend: str = request.param
    if missing(backend):
        pytest.skip(missing(backend))
    if backend == "tensorflow":
        return Found(
            {
                name: engine_runs.measured(backend, tiny_splits, reference, workload, dtype)
                for name, workload, dtype in ROWS
            },
            engine_runs.counts(backend),
        )
    done = subprocess.run(
        [sys.executable, engine_runs.__file__, backend, str(tiny_manifest), str(reference)],
        env=worker_environment(Place(backend, "cpu", 1)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    records = {name: decode(data) for name, data in told.pop("records").items()}
    measured = {name: one for name, one in records.items() if isinstance(one, Measurement)}
    return Found(measured, **told)


def judged(result: CheckResult | str) -> CheckResult:
    assert not isinstance(result, str), result
    return result


# What every backend does


@pytest.mark.parametrize("name", ["train", "inference", "bfloat16"])
def test_a_right_program_passes_every_check(found: Found, name: str) -> None:
    record = found.records[name]
    for check in (check_same_answers, check_placement):
        assert judged(check(record)).verdict == "pass", judged(check(record)).detail
    if record.backend_flops_per_picture is not None:
        assert judged(check_flops(record)).verdict == "pass"
    # How linear time is depends on what else the machine does, which is nothing for a test.
    assert "the timer does not wait" not in judged(check_timer_waits(record)).detail


def test_answers_are_those_of_the_reference(found: Found, tiny_splits: Splits) -> None:
    for name in ("train", "inference"):
        agreement = found.records[name].agreement
        assert agreement is not None
        assert agreement.pictures == len(tiny_splits.validation.names)
        assert agreement.probability_difference <= 1e-4


def test_placement_is_read_off_the_tensors(found: Found) -> None:
    for name, dtype in (("train", "float32"), ("inference", "float32"), ("bfloat16", "bfloat16")):
        placement = found.records[name].placement
        assert placement is not None
        assert (placement.devices, placement.weight_dtypes) == (("cpu",), ("float32",))
        assert placement.compute_dtypes == (dtype,)


def test_a_wrong_dtype_and_another_device_are_red(found: Found) -> None:
    record = found.records["bfloat16"]
    row, place = replace(record.row, dtype="float32"), replace(record.place, device="gpu:1")
    detail = judged(check_placement(replace(record, row=row, place=place))).detail
    assert "layers compute in bfloat16, expected float32" in detail
    assert "tensors lie on cpu, expected gpu" in detail


def test_training_has_rounds_and_no_latency(found: Found, tiny_splits: Splits) -> None:
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
    assert record.flops_per_picture is not None
    assert record.flops_per_picture > 2 * (found.records["inference"].flops_per_picture or 0) > 0


def test_inference_has_latencies_of_single_pictures_and_copies(found: Found) -> None:
    record = found.records["inference"]
    assert len(record.latency_seconds) == 5
    assert len(record.copy_seconds) == throughput.COPIES
    assert min(*record.copy_seconds, *record.latency_seconds) > 0
    assert record.backend_flops_per_picture
    assert record.telemetry
    assert record.tf32 == ""


def test_the_backend_counts_what_the_layers_do(found: Found) -> None:
    for workload, layers, backend in found.counts:
        if backend is not None:  # TensorFlow does not count training
            assert backend == pytest.approx(layers, rel=COUNT_TOLERANCE[workload])


def test_peaks_are_measured_in_every_dtype(found: Found) -> None:
    for dtype, peak in found.peaks.items():
        assert peak["matmul_flops_per_second"] > 0
        # Keras has no int8 convolution.
        assert (peak["convolution_flops_per_second"] is None) == (dtype == "int8")


def test_only_the_first_step_is_compiled(found: Found) -> None:
    assert found.compiled_again == 0


def test_a_timer_that_does_not_wait_is_found(found: Found) -> None:
    if found.records["inference"].place.backend != "jax":
        pytest.skip("on a CPU, JAX alone answers before it has computed")
    verdict = judged(check_timer_waits(found.records["not waited for"]))
    assert verdict.verdict == "fail"
    assert "the timer does not wait" in verdict.detail


# Wrong programs and other rows, on TensorFlow


def measured(splits: Splits, workload: Workload = "train", batch_size: int = 8) -> Measurement:
    return measure_row(
        VARIANT,
        Row(VARIANT.name, workload, "float32", batch_size, 0),
        splits,
        Place("tensorflow", "cpu", 1),
        rounds=1,
        warmup_rounds=0,
    )


def test_a_batch_larger_than_the_set_repeats_pictures_and_has_no_reference(
    tiny_splits: Splits,
) -> None:
    count = 2 * len(tiny_splits.train.names)
    result = measured(tiny_splits, "inference", count)
    assert result.row.batch_size == count
    assert result.agreement is result.flops_per_picture is None
    assert isinstance(check_same_answers(result), str)


def test_a_fast_wrong_answer_is_red(
    tiny_splits: Splits, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TensorFlowEngine.program

    def forgets_its_weights(self: Any, model: Any, workload: Workload) -> TensorFlowProgram:
        *others, kernel, bias = model.get_weights()
        wrong = np.random.default_rng(0).normal(0, 1, kernel.shape)
        model.set_weights([*others, wrong, bias])
        return real(self, model, workload)

    monkeypatch.setattr(TensorFlowEngine, "program", forgets_its_weights)
    verdict = judged(
        check_same_answers(engine_runs.measured("tensorflow", tiny_splits, reference, "inference"))
    )
    assert verdict.verdict == "fail"
    assert "largest probability difference" in verdict.detail


def test_training_that_does_nothing_is_red(
    tiny_splits: Splits, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TensorFlowProgram.train

    def loss_alone(self: Any, pictures: Any, targets: Any) -> Any:
        before = self.model.get_weights()
        loss = real(self, pictures, targets)
        self.model.set_weights(before)
        return loss

    monkeypatch.setattr(TensorFlowProgram, "train", loss_alone)
    result = engine_runs.measured("tensorflow", tiny_splits, reference, "train")
    assert judged(check_same_answers(result)).verdict == "fail"


def test_a_full_memory_is_a_row(tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> object:
        raise MemoryError

    monkeypatch.setattr(TensorFlowProgram, "run", full)
    result = measured(tiny_splits)
    assert result.out_of_memory
    assert (result.round_seconds, result.steps_per_round) == ((), 0)
    assert result.peak_memory_mb > 0
    for check in (check_timer_waits, check_placement, check_same_answers):
        assert check(result) == "batch size 8 does not fit into memory"


def test_any_other_error_is_raised(tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, outputs: Sequence[object]) -> None:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(TensorFlowEngine, "synchronize", broken)
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
def test_a_full_memory_is_known(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_tensorflows_full_memory_is_known() -> None:
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("Unexpected input data type"))
