"""Measurements of real steps on tiny pictures."""

from __future__ import annotations

import numpy as np
import pytest

from cnnbench import throughput
from cnnbench.images.dataset import Splits
from cnnbench.records import Measurement, Workload
from cnnbench.throughput import measure
from cnnbench.training import Place
from cnnbench.variants import VARIANTS

PLACE = Place("tensorflow", "cpu", 1)


def measured(splits: Splits, workload: Workload, batch_size: int = 8) -> Measurement:
    return measure(
        VARIANTS["single-block"],
        splits,
        workload,
        batch_size,
        0,
        PLACE,
        rounds=3,
        warmup_rounds=1,
    )


def test_training_has_rounds_and_no_latency(tiny_splits: Splits) -> None:
    result = measured(tiny_splits, "train")
    assert len(result.round_seconds) == 3
    assert min(result.round_seconds) > 0
    assert result.latency_seconds == ()


def test_inference_has_latencies_of_single_pictures(
    tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput, "LATENCY_CALLS", 5)
    assert len(measured(tiny_splits, "inference").latency_seconds) == 5


def test_the_first_step_is_dearer_than_a_steady_one(tiny_splits: Splits) -> None:
    result = measured(tiny_splits, "train")
    steady = min(result.round_seconds) / result.steps_per_round
    assert result.first_step_seconds > 5 * steady  # it builds and compiles


def test_peak_memory_is_that_of_a_real_process(tiny_splits: Splits) -> None:
    assert 50 < measured(tiny_splits, "train").peak_memory_mb < 24_000


def test_a_batch_larger_than_the_set_repeats_pictures(tiny_splits: Splits) -> None:
    count = len(tiny_splits.train.names)
    result = measured(tiny_splits, "inference", batch_size=2 * count)
    assert result.batch_size == 2 * count


def test_steps_train_on_whole_batches(tiny_splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    real = throughput.seeded_model

    def spying(*arguments: object) -> object:
        model = real(*arguments)  # type: ignore[arg-type]
        step = model.train_on_batch

        def train_on_batch(pictures: np.ndarray, targets: np.ndarray) -> object:
            seen.append((*pictures.shape, len(targets)))
            return step(pictures, targets)

        model.train_on_batch = train_on_batch
        return model

    monkeypatch.setattr(throughput, "seeded_model", spying)
    measured(tiny_splits, "train")
    assert set(seen) == {(8, 24, 24, 3, 8)}
