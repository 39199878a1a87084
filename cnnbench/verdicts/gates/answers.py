"""What the answers of training runs on the held-out pictures say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from statistics import median

import numpy as np
import numpy.typing as npt

from cnnbench.records.runs import TrainingRun

Runs = Sequence[TrainingRun]
Labels = Sequence[int]
LUCK = 2.33  # standard errors above chance that luck exceeds in 1 % of cases


def answers_of(run: TrainingRun) -> npt.NDArray[np.int64]:
    """Returns the class that each held-out picture was given, `(pictures,)`."""
    return _answers(run.val_probabilities)


@lru_cache(maxsize=512)  # a run is looked at again and again, by several gates
def _answers(probabilities: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.int64]:
    rows = np.asarray(probabilities)
    second = rows[:, 0] > 0.5 if rows.shape[1] == 1 else rows.argmax(axis=1)
    answers: npt.NDArray[np.int64] = second.astype(np.int64)
    answers.setflags(write=False)
    return answers


def correct_of(runs: Runs, labels: Labels) -> npt.NDArray[np.bool_]:
    """Returns whether each run was right on each held-out picture, `(runs, pictures)`."""
    truth = np.asarray(labels)
    return np.array([answers_of(run) == truth for run in runs])


def collapsed_seeds(runs: Runs, labels: Labels) -> list[int]:
    """Returns the seeds whose network died: one answer for all, or at chance while others learn.

    "At chance" is below what luck reaches in 1 % of cases, and the others' median is beyond twice
    that distance.
    """
    n = len(labels)
    chance = max(Counter(labels).values()) / n
    luck = LUCK * math.sqrt(chance * (1 - chance) / n)
    middle = median(run.val_accuracy for run in runs)
    return [
        run.seed
        for run in runs
        if np.ptp(answers_of(run)) == 0
        or (run.val_accuracy <= chance + luck and middle > chance + 2 * luck)
    ]
