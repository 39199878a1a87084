"""Measurements of real steps on tiny pictures, with TensorFlow in the tests' own process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.data_set import Splits
from cnnbench.records.measurements import Measurement, Row, Workload
from cnnbench.speed import throughput
from cnnbench.speed.engines.on_tensorflow import TensorFlowEngine, TensorFlowProgram
from cnnbench.speed.make_reference import make_reference
from cnnbench.speed.reference import Reference
from cnnbench.speed.throughput import measure_row
from cnnbench.verdicts.checks.speed import (
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)

PLACE = Place("tensorflow", "cpu", 1)
VARIANT = VARIANTS["single-block"]
ROW = Row("single-block", "train", "float32", 8, 0)


@pytest.fixture(autouse=True)
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "LATENCY_CALLS", 5)
    monkeypatch.setattr(throughput, "LATENCY_WARMUP_CALLS", 1)


@pytest.fixture(scope="module")
def references(tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the answers that each workload is held against."""
    folder = tmp_path_factory.mktemp("references")
    workloads: tuple[Workload, ...] = ("train", "inference")
    for workload in workloads:
        made = make_reference(VARIANT, tiny_splits, workload, 8, 0, None)
        made.save(folder / f"{workload}.npz")
    return {workload: folder / f"{workload}.npz" for workload in workloads}


def measured(
    splits: Splits,
    workload: Workload = "train",
    reference: Path | None = None,
    **changes: Any,
) -> Measurement:
    row = replace(ROW, workload=workload, **changes)
    return measure_row(VARIANT, row, splits, PLACE, rounds=3, warmup_rounds=1, reference=reference)


def test_training_has_rounds_and_no_latency(tiny_splits: Splits) -> None:
    result = measured(tiny_splits, process=3)
    assert len(result.round_seconds) == 3
    assert min(result.round_seconds) > 0
    assert result.latency_seconds == ()
    assert (result.row.workload, result.row.process, result.place.threads) == ("train", 3, 1)
    assert result.data_hash == tiny_splits.content_hash
    assert result.fingerprint == VARIANT.fingerprint()


def test_inference_has_latencies_of_single_pictures(tiny_splits: Splits) -> None:
    result = measured(tiny_splits, "inference")
    assert len(result.latency_seconds) == 5
    assert result.backend_flops_per_picture


def test_copies_to_the_device_are_measured_apart(tiny_splits: Splits) -> None:
    result = measured(tiny_splits, "inference")
    assert len(result.copy_seconds) == throughput.COPIES
    assert min(result.copy_seconds) > 0


def test_the_first_step_is_dearer_than_a_steady_one(tiny_splits: Splits) -> None:
    result = measured(tiny_splits)
    steady = min(result.round_seconds) / result.steps_per_round
    assert result.first_step_seconds > 5 * steady  # it builds and compiles


def test_peak_memory_is_that_of_a_real_process(tiny_splits: Splits) -> None:
    assert 50 < measured(tiny_splits).peak_memory_mb < 24_000


def test_a_batch_larger_than_the_set_repeats_pictures(tiny_splits: Splits) -> None:
    count = len(tiny_splits.train.names)
    assert measured(tiny_splits, "inference", batch_size=2 * count).row.batch_size == 2 * count


def test_without_a_reference_there_is_nothing_to_compare(tiny_splits: Splits) -> None:
    result = measured(tiny_splits)
    assert result.agreement is None
    assert result.flops_per_picture is None
    assert check_same_answers(result) == "there is no reference"


@pytest.mark.parametrize("workload", ["train", "inference"])
def test_a_right_program_passes_every_check(
    tiny_splits: Splits, references: dict[str, Path], workload: Workload
) -> None:
    result = measured(tiny_splits, workload, references[workload])
    for check in (check_same_answers, check_placement, check_flops):
        verdict = check(result)
        assert isinstance(verdict, str) or verdict.verdict == "pass", verdict
    waits = check_timer_waits(result)
    assert "the timer does not wait" not in waits.detail
    assert result.agreement is not None
    assert result.agreement.pictures == len(tiny_splits.validation.names)
    assert result.agreement.probability_difference <= 1e-4
    assert result.flops_per_picture


def test_training_counts_more_operations_than_inference(
    tiny_splits: Splits, references: dict[str, Path]
) -> None:
    known = Reference.load(references["train"])
    blank = measured(tiny_splits, "train", references["train"])
    other = measured(tiny_splits, "inference", references["train"])
    assert blank.flops_per_picture == known.training_flops
    assert other.flops_per_picture == known.inference_flops
    assert known.training_flops is not None
    assert known.inference_flops is not None
    assert known.training_flops > 2 * known.inference_flops


def test_a_fast_wrong_answer_is_red(
    tiny_splits: Splits, references: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TensorFlowEngine.program

    def forgets_its_weights(self: Any, model: Any, workload: Workload) -> TensorFlowProgram:
        rng = np.random.default_rng(0)
        # The last layer's signs change: half of the answers are wrong, and as fast as right ones.
        *others, kernel, bias = model.get_weights()
        model.set_weights([*others, rng.normal(0, 1, kernel.shape), bias])
        return real(self, model, workload)

    monkeypatch.setattr(TensorFlowEngine, "program", forgets_its_weights)
    result = measured(tiny_splits, "inference", references["inference"])
    verdict = check_same_answers(result)
    assert verdict.verdict == "fail"
    assert "largest probability difference" in verdict.detail


def test_training_that_does_nothing_is_red(
    tiny_splits: Splits, references: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TensorFlowProgram.run

    def loss_alone(self: Any, pictures: Any, targets: Any = None) -> Any:
        before = self.model.get_weights()
        loss = real(self, pictures, targets)
        self.model.set_weights(before)
        return loss

    monkeypatch.setattr(TensorFlowProgram, "run", loss_alone)
    verdict = check_same_answers(measured(tiny_splits, "train", references["train"]))
    assert verdict.verdict == "fail"


def test_a_full_memory_is_a_row(tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> object:
        raise MemoryError

    monkeypatch.setattr(TensorFlowProgram, "run", full)
    result = measured(tiny_splits)
    assert result.out_of_memory
    assert (result.round_seconds, result.steps_per_round) == ((), 0)
    assert result.peak_memory_mb > 0
    assert check_placement(result) == "batch size 8 does not fit into memory"


def test_any_other_error_is_raised(tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, outputs: Sequence[object]) -> None:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(TensorFlowEngine, "synchronize", broken)
    with pytest.raises(RuntimeError, match="the device is gone"):
        measured(tiny_splits)
