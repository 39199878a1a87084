"""The rules of gates: what training runs say about one property, as evidence for both sides."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from scipy import special

from cnnbench.records.records import TrainingRun
from cnnbench.stats import intervals
from cnnbench.stats.intervals import ROUNDING, UNKNOWN, Interval, Spread
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.two_samples import EFFICIENCY, p_lower, shift
from cnnbench.verdicts.gates import evidence
from cnnbench.verdicts.gates.baselines import Baseline, identity_of
from cnnbench.verdicts.gates.evidence import Evidence, Labels, Levels, Runs

MOST_NEW = 200  # seeds beside a baseline: where advice stops looking


@dataclass(frozen=True)
class AccuracyTarget:
    """Is the mean held-out accuracy over seeds at least the target? A collapsed seed is a fail.

    A `known` spread over seeds from earlier runs is pooled with these runs'.
    """

    target: float
    known: Spread = UNKNOWN
    check: str = "accuracy"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        alive, collapsed = evidence.living(runs, labels)
        values = [run.val_accuracy for run in alive]
        seeds = intervals.mean_of(values, self.known, evidence.least_sd(values, len(labels)))
        found = evidence.mean_rule(seeds, len(values), self.target, levels, good=1)
        error = intervals.picture_error(evidence.correct_of(alive, labels))
        own, wider = found.interval, intervals.widened(seeds, *error).interval()
        # With three seeds the pictures' part adds more degrees of freedom than variance, but an
        # interval that includes more uncertainty must not be the narrower one.
        everywhere = Interval(min(own.low, wider.low), max(own.high, wider.high))
        noise = ""
        floor = math.sqrt((1 - fmean(values)) / (2 * len(labels)))  # Jordan's, see `least_sd`
        if len(values) > 1 and floor > 0:
            noise = f"; seed sd is {intervals.spread_of(values).sd / floor:.2f} of sqrt(err/2n)"
        detail = (
            f"held-out accuracy {evidence.mean_sd(values)}, {own} for this recipe on these "
            f"{len(labels)} pictures, {everywhere} on new pictures of their kind; target at least "
            f"{self.target:.4f}{noise}{collapsed}"
        )
        return replace(found, detail=detail, settled="fail" if collapsed else None)


@dataclass(frozen=True)
class TrainAccuracyTarget:
    """Is the mean training accuracy (final weights, inference mode) at least the target?

    Wrong labels in the training set show here first, long before the held-out accuracy suffers.
    Training pictures are all there are: seeds are the only source of chance.
    """

    target: float
    known: Spread = UNKNOWN
    check: str = "train_accuracy"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        values = [run.train_accuracy for run in runs]
        seeds = intervals.mean_of(values, self.known)
        found = evidence.mean_rule(seeds, len(values), self.target, levels, good=1)
        detail = (
            f"training accuracy {evidence.mean_sd(values)}, {found.interval}; target at least "
            f"{self.target:.4f}. Wrong labels among the training pictures lower it"
        )
        return replace(found, detail=detail)


@dataclass(frozen=True)
class GeneralizationGapLimit:
    """Is train less held-out accuracy at most the limit, on new pictures of this kind?

    The gap is a difference within each run, so its spread over seeds is that of the differences.
    What other held-out pictures would change is added. A collapsed network overfits nothing and
    would lower the mean: it is left out.
    """

    limit: float
    known: Spread = UNKNOWN
    check: str = "generalization_gap"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        alive, collapsed = evidence.living(runs, labels)
        values = [run.generalization_gap for run in alive]
        least = evidence.least_sd([run.val_accuracy for run in alive], len(labels))
        seeds = intervals.mean_of(values, self.known, least)
        error = intervals.picture_error(evidence.correct_of(alive, labels))
        found = evidence.mean_rule(seeds, len(values), self.limit, levels, good=-1, pictures=error)
        train, over = fmean(run.train_accuracy for run in alive), found.observed - self.limit
        detail = (
            f"gap {evidence.mean_sd(values)}: train accuracy {train:.4f}, held out "
            f"{train - found.observed:.4f}; {found.interval}, seeds and the {len(labels)} held-out "
            f"pictures considered; limit {self.limit:.4f}"
            f"{f', {over:.4f} too much' if over > 0 else ''}{collapsed}"
        )
        return replace(found, detail=detail)


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
        if not np.isfinite(rises).all():
            nowhere = Interval(-math.inf, math.inf)
            detail = f"the validation loss is not finite in {len(runs)} seeds: rises {rises}"
            return Evidence(math.nan, self.limit, nowhere, 0.0, 1.0, detail, settled="fail")
        logs = [math.log1p(max(rise, -1 + ROUNDING)) for rise in rises]
        limit, seeds = math.log1p(self.limit), intervals.mean_of(logs)
        found = evidence.mean_rule(seeds, len(logs), limit, levels, good=-1)
        low, high = special.expm1([found.interval.low, found.interval.high]).tolist()
        best = [1 + int(np.argmin(run.history["val_loss"])) for run in runs]
        detail = (
            f"rise of the validation loss after the best epoch: {evidence.mean_sd(rises)}, "
            f"{Interval(low, high)}; best epochs {best} of {max(run.epochs for run in runs)}; "
            f"limit {self.limit:.4f}"
        )
        return replace(
            found,
            observed=math.expm1(found.observed),
            threshold=self.limit,
            interval=Interval(low, high),
            detail=detail,
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


@dataclass(frozen=True)
class AccuracyDrop:
    """Is the mean held-out accuracy lower than the stored baseline's?

    A one-sided rank sum test: on seeds' accuracies, which have a long lower tail where recipes are
    unstable, a t test of 3 to 8 new seeds alarmed in 2.2 % of sessions at a nominal 1 %. A
    collapsed seed is a fail, unless the baseline has one.

    With too few seeds for the drop `margin`, not finding one is inconclusive. Without a margin it
    is a pass, with the smallest drop that would have been found with 90 % power as threshold.
    """

    baseline: Baseline
    margin: float | None = None
    check: str = "accuracy_drop"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        other = self.baseline.differences(identity_of(runs[0]))
        if other:
            raise ValueError(
                f"The baseline of {self.baseline.variant!r} is of something else: "
                f"{'; '.join(other)}. Make a baseline of this with `cnnbench baseline`."
            )
        before = self.baseline.accuracies
        alive, collapsed = evidence.living(runs, labels)
        values = [run.val_accuracy for run in alive]
        sd = intervals.spread_of(before).pooled(intervals.spread_of(values)).sd
        if sd < ROUNDING:
            sd = evidence.least_sd((*before, *values), len(labels))
        sd /= math.sqrt(EFFICIENCY)

        def smallest(seeds: int) -> float:
            return smallest_difference(sd, len(before), seeds, levels.alpha)

        drop, interval = shift(before, values)
        seen, allowed, stated = smallest(len(values)), self.margin, ""
        if allowed is None:
            allowed = smallest(max(levels.most, len(values)))
        else:
            stated = f"; {allowed:.4f} must be found"
        advice = (
            "no number of new seeds would decide it; more seeds in the baseline would, or a larger "
            "accuracy_drop"
        )
        needed = 1 + bisect_left(range(1, MOST_NEW), True, key=lambda n: smallest(n) <= allowed)
        if needed < MOST_NEW:
            advice = evidence.in_seeds(needed, len(values))
        return Evidence(
            observed=drop,
            threshold=allowed,
            interval=interval,
            p_fail=p_lower(before, values),
            p_pass=p_lower([value + allowed for value in values], before),
            detail=f"held-out accuracy {evidence.mean_sd(values)}, baseline "
            f"{evidence.mean_sd(before)}: a drop of {drop:+.4f}, {interval}; {len(before)} and "
            f"{len(values)} seeds find a drop of {seen:.4f} with 90 % power{stated}{collapsed}",
            advice=advice,
            settled="fail" if collapsed and not self.baseline.collapsed else None,
            at_end="pass" if self.margin is None or seen <= self.margin else "inconclusive",
        )
