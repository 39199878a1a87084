"""Training runs with chosen answers to a hundred held-out pictures, for what gates are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from factories import training_run

from cnnbench.records.records import TrainingRun

LABELS = (0, 1) * 50


def run_of(
    wrong: int | Iterable[int] = 0, labels: Sequence[int] = LABELS, **changes: Any
) -> TrainingRun:
    """Returns a run that is wrong on these pictures, or on the first so many."""
    missed = set(range(wrong) if isinstance(wrong, int) else wrong)
    answers = [1 - label if n in missed else label for n, label in enumerate(labels)]
    return training_run(
        val_accuracy=1 - len(missed) / len(labels),
        val_probabilities=tuple((0.9,) if answer else (0.1,) for answer in answers),
        **changes,
    )


def runs_of(*wrong: int | Iterable[int], **changes: Any) -> list[TrainingRun]:
    """Returns a run for each number, under the seeds 0, 1, ..."""
    return [run_of(count, seed=seed, **changes) for seed, count in enumerate(wrong)]


def constant_run(answer: int = 0, labels: Sequence[int] = LABELS, **changes: Any) -> TrainingRun:
    """Returns a run that gives every picture the same answer."""
    return run_of([n for n, label in enumerate(labels) if label != answer], labels, **changes)
