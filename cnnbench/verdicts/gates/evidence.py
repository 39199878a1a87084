"""What is known about a gate after a look, and the words for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, median
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cnnbench.records.records import TrainingRun, Verdict
from cnnbench.stats.answers import classes_of
from cnnbench.stats.intervals import Estimate, Interval, spread_of, widened
from cnnbench.stats.power import values_needed

Runs = Sequence[TrainingRun]
Labels = Sequence[int]


@dataclass(frozen=True)
class Levels:
    """The error rates of gates.

    `alpha` is the chance that any gate fails although all is well, `beta` that a gate passes
    although its threshold is not met, and `most` the most seeds that a gate may see.
    """

    alpha: float = 0.01
    beta: float = 0.05
    most: int = 8


@dataclass(frozen=True)
class Evidence:
    """What is known about one gate after a look.

    `p_fail` is the p value of "all is well" (small is bad), `p_pass` that of "it is not" (small is
    good). `advice` says what would decide it, `settled` is a verdict that no p value is needed for,
    and `at_end` the verdict when nothing was decided and no seed may be added.
    """

    observed: float
    threshold: float
    interval: Interval
    p_fail: float
    p_pass: float
    detail: str = ""
    advice: str = ""
    settled: Verdict | None = None
    at_end: Verdict = "inconclusive"


class Rule(Protocol):
    """Judges one property of a variant's runs; `check` is its name."""

    @property
    def check(self) -> str: ...

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        """Returns what the runs say, one a seed; ValueError if they can't be judged.

        `levels` are those of the last look, to say what could be found or would decide.
        """


def answers_of(run: TrainingRun) -> npt.NDArray[np.int64]:
    """Returns the class that each held-out picture was given, `(pictures,)`."""
    return _answers(run.val_probabilities)


@lru_cache(maxsize=512)  # several gates look at a run, again and again
def _answers(probabilities: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.int64]:
    return classes_of(np.asarray(probabilities))


def correct_of(runs: Runs, labels: Labels) -> npt.NDArray[np.bool_]:
    """Returns whether each run was right on each held-out picture, `(runs, pictures)`."""
    truth = np.asarray(labels)
    return np.array([answers_of(run) == truth for run in runs])


def is_constant(run: TrainingRun) -> bool:
    """Returns whether every held-out picture was given the same class."""
    return bool(np.ptp(answers_of(run)) == 0)


def luck_of(share: float, pictures: int) -> float:
    """Returns by how much luck exceeds a share in 1 % of cases (the normal approximation)."""
    return NormalDist().inv_cdf(0.99) * math.sqrt(share * (1 - share) / pictures)


def collapsed_seeds(runs: Runs, labels: Labels) -> list[int]:
    """Returns the seeds whose network died: one answer for all, or at chance while others learn.

    "At chance" is below what luck reaches in 1 % of cases, and the others learn if their median is
    beyond twice that distance.
    """
    chance = max(Counter(labels).values()) / len(labels)
    luck = luck_of(chance, len(labels))
    others_learn = median(run.val_accuracy for run in runs) > chance + 2 * luck
    weak = chance + luck if others_learn else -math.inf
    return [run.seed for run in runs if is_constant(run) or run.val_accuracy <= weak]


def living(runs: Runs, labels: Labels) -> tuple[Runs, str]:
    """Returns the runs that did not collapse, or all where all did, and a clause on the others."""
    dead = collapsed_seeds(runs, labels)
    alive = [run for run in runs if run.seed not in dead]
    if not dead:
        return runs, ""
    accuracies = ", ".join(f"{run.val_accuracy:.4f}" for run in runs if run.seed in dead)
    told = f"; collapsed: {len(dead)} of {len(runs)} seeds, {dead}, with accuracy {accuracies}"
    return (alive, f"{told}, left out of the mean") if alive else (runs, told)


def least_sd(accuracies: Sequence[float], pictures: int) -> float:
    """Returns the standard deviation over seeds below which no training gets, sqrt(err / 2n).

    Jordan, "On the Variance of Neural Network Training with respect to Test Sets and Distributions"
    (arXiv 2304.01910). The share of wrong answers is smoothed (Laplace): no wrong answer is no
    proof that there are none.
    """
    wrong = (1 - fmean(accuracies)) * pictures
    return math.sqrt((wrong + 1) / (pictures + 2) / (2 * pictures))


def mean_rule(
    seeds: Estimate,
    values: int,
    threshold: float,
    levels: Levels,
    *,
    good: int,
    pictures: tuple[float, float] = (0.0, math.inf),
) -> Evidence:
    """Compares a mean over seeds with a threshold, by Student's t.

    `good` is 1 if the mean should be at least the threshold, -1 if at most; `pictures` the variance
    that other held-out pictures would add, and its degrees of freedom.
    """
    estimate = widened(seeds, *pictures)
    below, above = estimate.p_below(threshold), estimate.p_above(threshold)
    p_fail, p_pass = (below, above) if good > 0 else (above, below)
    sd, distance = seeds.error * math.sqrt(values), (seeds.value - threshold) * good
    advice = (
        "one seed has no spread; at least two seeds or a known spread would be needed to decide"
    )
    if not math.isnan(sd):
        rate = levels.beta if distance > 0 else levels.alpha
        needed = values_needed(distance, sd, rate, floor=math.sqrt(pictures[0]))
        advice = in_seeds(needed, values)
    return Evidence(estimate.value, threshold, estimate.interval(), p_fail, p_pass, advice=advice)


def mean_sd(values: Sequence[float]) -> str:
    """Returns mean, standard deviation and number of seeds in words."""
    if len(values) == 1:
        return f"{values[0]:.4f} (n=1 seed)"
    mean, sd = fmean(values), spread_of(values).sd
    return f"{mean:.4f} ± {sd:.4f} (mean ± sd, n={len(values)} seeds)"


def in_seeds(needed: int | None, values: int) -> str:
    """Returns in words what would be needed to decide."""
    if needed is None:
        return "no number of seeds would decide it; more held-out pictures would"
    more = max(1, needed - values)
    return f"about {more} more seed{'s' if more > 1 else ''} would be needed to decide"
