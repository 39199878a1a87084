"""The rules of gates: what training runs say about one property, as evidence for both sides.

Which side decides, after how many looks and beside how many other gates, is the jury's.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from cnnbench.answers import Labels, Runs, collapsed_seeds, correct_of
from cnnbench.baselines import Baseline
from cnnbench.evidence import Evidence, Levels, advice, between, in_seeds, mean_sd
from cnnbench.records.runs import TrainingRun
from cnnbench.stats.intervals import (
    UNKNOWN,
    Estimate,
    Interval,
    Spread,
    mean_of,
    picture_error,
    spread_of,
    widened,
)
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.ranks import EFFICIENCY, p_lower, shift

POWER = 0.9
MOST_NEW = 200  # seeds beside a baseline: where advice stops looking
ROUNDING = 1e-9  # below it a standard deviation is that of equal values


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


@dataclass(frozen=True)
class GeneralizationGapLimit:
    """Is train less held-out accuracy at most the limit, on new pictures of this kind?

    The gap is a difference within each run, so its spread over seeds is that of the differences.
    The held-out pictures are the same for every seed: what drawing others would change is added.
    Seeds of one gap, where no spread is known, are given `least_sd` of their held-out accuracy.
    A network that died overfits nothing and would lower the mean: it is left out.
    """

    limit: float
    known: Spread = UNKNOWN
    check: str = "generalization_gap"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        alive, dead = _living(runs, labels)
        values = [run.generalization_gap for run in alive]
        variance, df = picture_error(correct_of(alive, labels))
        least = least_sd([run.val_accuracy for run in alive], len(labels))
        seeds = _spread_out(mean_of(values, self.known), least / math.sqrt(len(values)))
        estimate = widened(seeds, variance, df)
        train = fmean(run.train_accuracy for run in alive)
        return Evidence(
            observed=estimate.value,
            threshold=self.limit,
            interval=estimate.interval(),
            p_fail=estimate.p_above(self.limit),
            p_pass=estimate.p_below(self.limit),
            detail=f"gap {mean_sd(values)}: train accuracy {train:.4f}, held out "
            f"{train - estimate.value:.4f}; {between(estimate.interval())}, seeds and the "
            f"{len(labels)} held-out pictures considered; limit {self.limit:.4f}"
            + (
                f", {estimate.value - self.limit:.4f} too much"
                if estimate.value > self.limit
                else ""
            )
            + _named(dead, runs),
            advice=advice(
                seeds, self.limit, len(values), levels, good=-1, floor=math.sqrt(variance)
            ),
        )


@dataclass(frozen=True)
class ValidationLossRiseLimit:
    """Did the validation loss end at most `1 + limit` times its best epoch's?

    Prechelt's generalization loss GL as a share ("Early Stopping - But When?", 1998). It is a ratio
    and skewed, so means and intervals are those of its logarithm: the mean is geometric.
    """

    limit: float
    check: str = "validation_loss_rise"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        rises = [rise_of(run) for run in runs]
        best = [1 + int(np.argmin(run.history["val_loss"])) for run in runs]
        if not all(map(math.isfinite, rises)):
            nowhere = Interval(-math.inf, math.inf)
            detail = f"the validation loss is not finite in {len(runs)} seeds: rises {rises}"
            return Evidence(math.nan, self.limit, nowhere, 0.0, 1.0, detail, settled="fail")
        estimate = mean_of([math.log1p(max(rise, -1 + ROUNDING)) for rise in rises])
        bound = math.log1p(self.limit)
        log = estimate.interval()
        interval = Interval(_expm1(log.low), _expm1(log.high))
        return Evidence(
            observed=math.expm1(estimate.value),
            threshold=self.limit,
            interval=interval,
            p_fail=estimate.p_above(bound),
            p_pass=estimate.p_below(bound),
            detail=f"rise of the validation loss after the best epoch: {mean_sd(rises)}, "
            f"{between(interval)}; best epochs {best} of {max(run.epochs for run in runs)}; limit "
            f"{self.limit:.4f}",
            advice=advice(estimate, bound, len(rises), levels, good=-1),
        )


def rise_of(run: TrainingRun) -> float:
    """Returns the final validation loss over its best epoch's, less 1."""
    losses = (*run.history["val_loss"], run.val_loss)
    best = min(run.history["val_loss"])
    if any(map(math.isnan, losses)) or math.isinf(best):
        return math.nan
    if best == 0:
        return 0.0 if run.val_loss == 0 else math.inf
    return run.val_loss / best - 1


def least_sd(accuracies: Sequence[float], pictures: int) -> float:
    """Returns the standard deviation over seeds below which no training gets, sqrt(err / 2n).

    Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
    Distributions" (arXiv 2304.01910), for `n` held-out pictures; the share of wrong answers is
    smoothed (Laplace), so that no wrong answer at all is not taken for a proof that there are none.
    """
    wrong = (1 - fmean(accuracies)) * pictures
    return math.sqrt((wrong + 1) / (pictures + 2) / (2 * pictures))


def _spread_out(estimate: Estimate, error: float) -> Estimate:
    """Returns the estimate, with this standard error if its values were all alike."""
    return replace(estimate, error=error) if estimate.error < ROUNDING else estimate


def _living(runs: Runs, labels: Labels) -> tuple[Runs, list[int]]:
    """Returns the runs that did not collapse, or all where all did, and the seeds that did."""
    dead = collapsed_seeds(runs, labels)
    return [run for run in runs if run.seed not in dead] or runs, dead


def _floor(values: Sequence[float], pictures: int) -> str:
    """Seed noise over its floor, sqrt(err / 2n) (Jordan, arXiv 2304.01910)."""
    floor = math.sqrt((1 - fmean(values)) / (2 * pictures))
    if len(values) < 2 or floor == 0:
        return ""
    return f"; seed sd is {spread_of(values).sd / floor:.2f} of sqrt(err/2n)"


def _named(dead: Sequence[int], runs: Runs) -> str:
    if not dead:
        return ""
    accuracies = [f"{run.val_accuracy:.4f}" for run in runs if run.seed in dead]
    return (
        f"; collapsed: {len(dead)} of {len(runs)} seeds, {list(dead)}, with accuracy "
        f"{', '.join(accuracies)}, left out of the mean"
    )


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


def _expm1(value: float) -> float:
    return math.inf if value > 700 else math.expm1(value)
