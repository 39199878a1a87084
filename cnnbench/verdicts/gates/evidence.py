"""What is known about a gate after a look, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

from cnnbench.records.checks import Verdict
from cnnbench.stats.intervals import (
    UNKNOWN,
    Estimate,
    Interval,
    Spread,
    mean_of,
    spread_of,
    widened,
)
from cnnbench.stats.power import values_to_decide
from cnnbench.verdicts.gates.answers import Labels, Runs

ROUNDING = 1e-9  # below it a standard deviation is that of equal values
NO_PICTURES = (0.0, math.inf)


@dataclass(frozen=True)
class Levels:
    """The error rates of gates.

    Args:
        alpha: chance that any gate fails although all is well.
        beta: chance that a gate passes although its threshold is not met.
        most: the most seeds that a gate may see.
    """

    alpha: float = 0.01
    beta: float = 0.05
    most: int = 8


@dataclass(frozen=True)
class Evidence:
    """What is known about one gate after a look.

    Args:
        observed: the estimate.
        threshold: what the estimate is compared with.
        interval: 95 % interval of the estimate.
        p_fail: p value of "all is well"; small is bad.
        p_pass: p value of "it is not"; small is good.
        detail: a sentence with the numbers.
        advice: what would decide it.
        settled: a verdict that no p value is needed for.
        at_end: the verdict when nothing was decided and no seed may be added.
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
    """Judges one property of a variant's runs."""

    @property
    def check(self) -> str:
        """Name of the check."""

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        """Returns what the runs say.

        Args:
            runs: of one variant, one a seed.
            labels: of the held-out pictures.
            levels: those of the last look, to say what could be found or would decide.

        Raises:
            ValueError: if the runs can't be judged.
        """


def least_sd(accuracies: Sequence[float], pictures: int) -> float:
    """Returns the standard deviation over seeds below which no training gets, sqrt(err / 2n).

    Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
    Distributions" (arXiv 2304.01910). The share of wrong answers is smoothed (Laplace): no wrong
    answer is no proof that there are none.
    """
    wrong = (1 - fmean(accuracies)) * pictures
    return math.sqrt((wrong + 1) / (pictures + 2) / (2 * pictures))


def seed_mean(values: Sequence[float], known: Spread = UNKNOWN, least: float = 0.0) -> Estimate:
    """Returns the mean over seeds, with a `known` spread from earlier runs pooled with theirs.

    Values that are all alike have the standard deviation `least`: few are no proof that all are.
    """
    estimate = mean_of(values, known)
    if least and estimate.error < ROUNDING:
        return replace(estimate, error=least / math.sqrt(len(values)))
    return estimate


def mean_rule(
    seeds: Estimate,
    values: int,
    threshold: float,
    levels: Levels,
    *,
    good: int,
    pictures: tuple[float, float] = NO_PICTURES,
) -> Evidence:
    """Compares a mean over seeds with a threshold, by Student's t.

    Args:
        seeds: the mean, as `seed_mean` returns it.
        values: number of seeds.
        threshold: what the mean is compared with.
        levels: error rates.
        good: 1 if the mean should be at least the threshold, -1 if at most.
        pictures: variance that other held-out pictures would add, and its degrees of freedom.
    """
    estimate = widened(seeds, *pictures)
    p_fail, p_pass = estimate.p_below(threshold), estimate.p_above(threshold)
    if good < 0:
        p_fail, p_pass = p_pass, p_fail
    sd, distance = seeds.error * math.sqrt(values), (seeds.value - threshold) * good
    if math.isnan(sd):
        advice = (
            "one seed has no spread; at least two seeds or a known spread would be needed to decide"
        )
    else:
        needed = values_to_decide(
            distance,
            -distance,
            sd,
            alpha=levels.alpha,
            beta=levels.beta,
            floor=math.sqrt(pictures[0]),
        )
        advice = in_seeds(needed, values)
    return Evidence(estimate.value, threshold, estimate.interval(), p_fail, p_pass, advice=advice)


def mean_sd(values: Sequence[float]) -> str:
    """Returns mean, standard deviation and number of seeds in words."""
    if len(values) == 1:
        return f"{values[0]:.4f} (n=1 seed)"
    return f"{fmean(values):.4f} ± {spread_of(values).sd:.4f} (mean ± sd, n={len(values)} seeds)"


def between(interval: Interval) -> str:
    """Returns an interval in words."""
    return f"95 % interval {interval.low:.4f} to {interval.high:.4f}"


def in_seeds(needed: int | None, values: int) -> str:
    """Returns in words what would be needed to decide."""
    if needed is None:
        return "no number of seeds would decide it; more held-out pictures would"
    more = max(1, needed - values)
    return f"about {more} more seed{'s' if more > 1 else ''} would be needed to decide"
