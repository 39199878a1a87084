"""What the answers of training runs to the held-out pictures say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np
import numpy.typing as npt

from cnnbench.records.runs import TrainingRun
from cnnbench.stats.answers import classes_of

Runs = Sequence[TrainingRun]
Labels = Sequence[int]
# Standard errors above chance that luck exceeds in 1 % of cases.
LUCK = NormalDist().inv_cdf(0.99)


def answers_of(run: TrainingRun) -> npt.NDArray[np.int64]:
    """Returns the class that each held-out picture was given, `(pictures,)`."""
    return _answers(run.val_probabilities)


@lru_cache(maxsize=512)  # several gates look at a run, again and again
def _answers(probabilities: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.int64]:
    answers = classes_of(np.asarray(probabilities))
    answers.setflags(write=False)
    return answers


def correct_of(runs: Runs, labels: Labels) -> npt.NDArray[np.bool_]:
    """Returns whether each run was right on each held-out picture, `(runs, pictures)`."""
    truth = np.asarray(labels)
    return np.array([answers_of(run) == truth for run in runs])


def is_constant(run: TrainingRun) -> bool:
    """Returns whether every held-out picture was given the same class."""
    return bool(np.ptp(answers_of(run)) == 0)


def luck_of(share: float, pictures: int) -> float:
    """Returns by how much luck exceeds a share in 1 % of cases (the normal approximation)."""
    return LUCK * math.sqrt(share * (1 - share) / pictures)


def collapsed_seeds(runs: Runs, labels: Labels) -> list[int]:
    """Returns the seeds whose network died: one answer for all, or at chance while others learn.

    "At chance" is below what luck reaches in 1 % of cases, and the others learn if their median is
    beyond twice that distance.
    """
    chance = max(Counter(labels).values()) / len(labels)
    luck = luck_of(chance, len(labels))
    others_learn = median(run.val_accuracy for run in runs) > chance + 2 * luck
    return [
        run.seed
        for run in runs
        if is_constant(run) or (others_learn and run.val_accuracy <= chance + luck)
    ]


def living(runs: Runs, labels: Labels) -> tuple[Runs, list[int]]:
    """Returns the runs that did not collapse, or all where all did, and the seeds that did."""
    dead = collapsed_seeds(runs, labels)
    return [run for run in runs if run.seed not in dead] or runs, dead


def collapsed_in_words(dead: Sequence[int], runs: Runs) -> str:
    """Returns a clause that names the collapsed seeds; empty where there are none."""
    if not dead:
        return ""
    accuracies = ", ".join(f"{run.val_accuracy:.4f}" for run in runs if run.seed in dead)
    return (
        f"; collapsed: {len(dead)} of {len(runs)} seeds, {list(dead)}, with accuracy {accuracies}, "
        "left out of the mean"
    )
