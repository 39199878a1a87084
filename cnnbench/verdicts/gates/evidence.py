"""What is known about a gate after a look, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from cnnbench.records.checks import Verdict
from cnnbench.stats.intervals import Estimate, Interval, spread_of
from cnnbench.stats.power import values_to_decide
from cnnbench.verdicts.gates.answers import Labels, Runs


@dataclass(frozen=True)
class Levels:
    """Error rates at which a gate may decide, and the most seeds that it may see.

    A rule is given those of its last look: it says with them what could be found, or would decide.
    """

    alpha: float = 0.01
    beta: float = 0.05
    most: int = 8


@dataclass(frozen=True)
class Evidence:
    """What is known about one gate after a look.

    Args:
        observed: the estimate, `threshold` what it is compared with, `interval` its 95 % interval.
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
    detail: str
    advice: str = ""
    settled: Verdict | None = None
    at_end: Verdict = "inconclusive"


class Rule(Protocol):
    """Judges one property of a variant's runs."""

    @property
    def check(self) -> str:
        """Name of the check."""

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        """Returns what the runs say; pure."""


def mean_sd(values: Sequence[float]) -> str:
    """Returns mean, standard deviation and number of seeds in words."""
    if len(values) == 1:
        return f"{values[0]:.4f} (n=1 seed)"
    return f"{fmean(values):.4f} ± {spread_of(values).sd:.4f} (mean ± sd, n={len(values)} seeds)"


def between(interval: Interval) -> str:
    """Returns an interval in words."""
    return f"95 % interval {interval.low:.4f} to {interval.high:.4f}"


def advice(
    estimate: Estimate,
    threshold: float,
    values: int,
    levels: Levels,
    *,
    good: int,
    floor: float = 0.0,
) -> str:
    """Returns what would be needed to decide, assuming that the estimate is right.

    Args:
        estimate: over `values` values, compared with `threshold`.
        levels: error rates.
        good: 1 if above the threshold is good, -1 if below.
        floor: an error that more seeds do not lower.
    """
    distance = (estimate.value - threshold) * good
    sd = estimate.error * math.sqrt(values)
    if math.isnan(sd):
        return (
            "one seed has no spread; at least two seeds or a known spread would be needed to decide"
        )
    needed = values_to_decide(
        distance, -distance, sd, alpha=levels.alpha, beta=levels.beta, floor=floor
    )
    return in_seeds(needed, values)


def in_seeds(needed: int | None, values: int) -> str:
    """Returns in words what would be needed to decide."""
    if needed is None:
        return "no number of seeds would decide it; more held-out pictures would"
    more = max(1, needed - values)
    return f"about {more} more seed{'s' if more > 1 else ''} would be needed to decide"
