"""The rules of gates: what training runs say about one property, as evidence for both sides.

Which side decides, after how many looks and beside how many other gates, is the jury's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cnnbench.stats.intervals import (
    UNKNOWN,
    Interval,
    Spread,
    mean_of,
    picture_error,
    spread_of,
    widened,
)
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.ranks import EFFICIENCY, p_lower, shift
from cnnbench.verdicts.gates.answers import Labels, Runs, correct_of
from cnnbench.verdicts.gates.baselines import Baseline
from cnnbench.verdicts.gates.evidence import Evidence, Levels, advice, between, in_seeds, mean_sd
from cnnbench.verdicts.gates.seeds import POWER, ROUNDING, _living, _named, _spread_out, least_sd

MOST_NEW = 200  # seeds beside a baseline: where advice stops looking


@dataclass(frozen=True)
class AccuracyTarget:
    """Is the mean held-out accuracy over seeds at least the target?

    Seeds that all have the same accuracy, where no spread is known, are given the least standard
    deviation that seeds have (`least_sd`): few equal values are no proof that all are equal.

    Args:
        target: share of held-out pictures.
        known: seeds' standard deviation from earlier runs, pooled with these runs'.
    """

    target: float
    known: Spread = UNKNOWN
    check: str = "accuracy"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        alive, dead = _living(runs, labels)
        values = [run.val_accuracy for run in alive]
        least = least_sd(values, len(labels))
        estimate = _spread_out(mean_of(values, self.known), least / math.sqrt(len(values)))
        interval = estimate.interval()
        wider = widened(estimate, *picture_error(correct_of(alive, labels))).interval()
        # With three seeds the pictures' part adds more degrees of freedom than variance: what
        # includes more uncertainty is not shown as the narrower one.
        everywhere = Interval(min(interval.low, wider.low), max(interval.high, wider.high))
        detail = (
            f"held-out accuracy {mean_sd(values)}, {between(interval)} for this recipe on these "
            f"{len(labels)} pictures, {between(everywhere)} on new pictures of their kind; target "
            f"at least {self.target:.4f}{_floor(values, len(labels))}{_named(dead, runs)}"
        )
        return Evidence(
            observed=estimate.value,
            threshold=self.target,
            interval=interval,
            p_fail=estimate.p_below(self.target),
            p_pass=estimate.p_above(self.target),
            detail=detail,
            advice=advice(estimate, self.target, len(values), levels, good=1),
            settled="fail" if dead else None,
        )


@dataclass(frozen=True)
class AccuracyDrop:
    """Is the mean held-out accuracy lower than the stored baseline's?

    A one-sided rank sum test: on seeds' accuracies, which have a long lower tail where recipes are
    unstable, a t test of 3 to 8 new seeds alarmed in 2.2 % of sessions at a nominal 1 %. Without a
    margin, not finding a drop is a pass, and the smallest drop that would have been found with
    90 % power is reported. A margin is the drop that must be found: with too few seeds for it, not
    finding one is inconclusive. Where all seeds of both sides are alike, their standard deviation
    is taken to be `least_sd`.
    """

    baseline: Baseline
    margin: float | None = None
    check: str = "accuracy_drop"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        other = self.baseline.differences(runs[0])
        if other:
            raise ValueError(
                f"The baseline of {self.baseline.variant!r} is of something else: "
                f"{'; '.join(other)}. Make a baseline of this with `cnnbench baseline`."
            )
        before = self.baseline.accuracies
        alive, dead = _living(runs, labels)
        values = [run.val_accuracy for run in alive]
        least = least_sd((*before, *values), len(labels))
        sd = spread_of(before).pooled(spread_of(values)).sd
        sd = (least if sd < ROUNDING else sd) / math.sqrt(EFFICIENCY)
        drop, interval = shift(before, values)
        most = max(levels.most, len(values))
        smallest = smallest_difference(sd, len(before), most, levels.alpha, POWER)
        allowed = smallest if self.margin is None else self.margin
        seen = smallest_difference(sd, len(before), len(values), levels.alpha, POWER)
        enough = self.margin is None or seen <= self.margin
        stated = "" if self.margin is None else f"; {self.margin:.4f} must be found"
        return Evidence(
            observed=drop,
            threshold=allowed,
            interval=interval,
            p_fail=p_lower(before, values),
            p_pass=p_lower([value + allowed for value in values], before),
            detail=f"held-out accuracy {mean_sd(values)}, baseline {mean_sd(before)}: a drop of "
            f"{drop:+.4f}, {between(interval)}; {len(before)} and {len(values)} seeds find a drop "
            f"of {seen:.4f} with 90 % power{stated}{_named(dead, runs)}",
            advice=_drop_advice(sd, len(before), len(values), allowed, levels),
            settled="fail" if dead and not self.baseline.collapsed else None,
            at_end="pass" if enough else "inconclusive",
        )


def _floor(values: Sequence[float], pictures: int) -> str:
    """Seed noise over its floor, sqrt(err / 2n) (Jordan, arXiv 2304.01910)."""
    floor = math.sqrt((1 - fmean(values)) / (2 * pictures))
    if len(values) < 2 or floor == 0:
        return ""
    return f"; seed sd is {spread_of(values).sd / floor:.2f} of sqrt(err/2n)"


def _drop_advice(sd: float, before: int, values: int, allowed: float, levels: Levels) -> str:
    def enough(seeds: int) -> bool:
        return smallest_difference(sd, before, seeds, levels.alpha, POWER) <= allowed

    sizes = range(values + 1, MOST_NEW)
    place = bisect_left(sizes, True, key=enough)
    if place == len(sizes):
        return (
            "no number of new seeds would decide it; more seeds in the baseline would, or a larger "
            "accuracy_drop"
        )
    return in_seeds(sizes[place], values)
