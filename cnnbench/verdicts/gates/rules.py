"""The rules of gates: what training runs say about one property, as evidence for both sides."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from scipy import special

from cnnbench.records.records import TrainingRun
from cnnbench.stats.intervals import UNKNOWN, Interval, Spread, picture_error, spread_of, widened
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.two_samples import EFFICIENCY, p_lower, shift
from cnnbench.verdicts.gates.baselines import Baseline, identity_of
from cnnbench.verdicts.gates.evidence import (
    ROUNDING,
    Evidence,
    Labels,
    Levels,
    Runs,
    between,
    collapsed_in_words,
    correct_of,
    in_seeds,
    least_sd,
    living,
    mean_rule,
    mean_sd,
    seed_mean,
)

POWER = 0.9
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
        alive, dead = living(runs, labels)
        values = [run.val_accuracy for run in alive]
        seeds = seed_mean(values, self.known, least_sd(values, len(labels)))
        found = mean_rule(seeds, len(values), self.target, levels, good=1)
        own = found.interval
        wider = widened(seeds, *picture_error(correct_of(alive, labels))).interval()
        # With three seeds the pictures' part adds more degrees of freedom than variance, but an
        # interval that includes more uncertainty must not be the narrower one.
        everywhere = Interval(min(own.low, wider.low), max(own.high, wider.high))
        noise = ""
        floor = math.sqrt((1 - fmean(values)) / (2 * len(labels)))  # Jordan's, see `least_sd`
        if len(values) > 1 and floor > 0:
            noise = f"; seed sd is {spread_of(values).sd / floor:.2f} of sqrt(err/2n)"
        detail = (
            f"held-out accuracy {mean_sd(values)}, {between(own)} for this recipe on these "
            f"{len(labels)} pictures, {between(everywhere)} on new pictures of their kind; target "
            f"at least {self.target:.4f}{noise}{collapsed_in_words(dead, runs)}"
        )
        return replace(found, detail=detail, settled="fail" if dead else None)


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
        found = mean_rule(seed_mean(values, self.known), len(values), self.target, levels, good=1)
        detail = (
            f"training accuracy {mean_sd(values)}, {between(found.interval)}; target at least "
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
        alive, dead = living(runs, labels)
        values = [run.generalization_gap for run in alive]
        least = least_sd([run.val_accuracy for run in alive], len(labels))
        found = mean_rule(
            seed_mean(values, self.known, least),
            len(values),
            self.limit,
            levels,
            good=-1,
            pictures=picture_error(correct_of(alive, labels)),
        )
        train, over = fmean(run.train_accuracy for run in alive), found.observed - self.limit
        detail = (
            f"gap {mean_sd(values)}: train accuracy {train:.4f}, held out "
            f"{train - found.observed:.4f}; {between(found.interval)}, seeds and the "
            f"{len(labels)} held-out pictures considered; limit {self.limit:.4f}"
            f"{f', {over:.4f} too much' if over > 0 else ''}{collapsed_in_words(dead, runs)}"
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
        if not all(map(math.isfinite, rises)):
            nowhere = Interval(-math.inf, math.inf)
            detail = f"the validation loss is not finite in {len(runs)} seeds: rises {rises}"
            return Evidence(math.nan, self.limit, nowhere, 0.0, 1.0, detail, settled="fail")
        logs = [math.log1p(max(rise, -1 + ROUNDING)) for rise in rises]
        found = mean_rule(seed_mean(logs), len(logs), math.log1p(self.limit), levels, good=-1)
        low, high = map(special.expm1, (found.interval.low, found.interval.high))
        interval = Interval(float(low), float(high))
        best = [1 + int(np.argmin(run.history["val_loss"])) for run in runs]
        detail = (
            f"rise of the validation loss after the best epoch: {mean_sd(rises)}, "
            f"{between(interval)}; best epochs {best} of {max(run.epochs for run in runs)}; limit "
            f"{self.limit:.4f}"
        )
        return replace(
            found,
            observed=math.expm1(found.observed),
            threshold=self.limit,
            interval=interval,
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
        alive, dead = living(runs, labels)
        values = [run.val_accuracy for run in alive]
        sd = spread_of(before).pooled(spread_of(values)).sd
        if sd < ROUNDING:
            sd = least_sd((*before, *values), len(labels))

        def smallest(seeds: int) -> float:
            waste = math.sqrt(EFFICIENCY)
            return smallest_difference(sd / waste, len(before), seeds, levels.alpha, POWER)

        drop, interval = shift(before, values)
        seen = smallest(len(values))
        allowed = self.margin
        if allowed is None:
            allowed = smallest(max(levels.most, len(values)))
        stated = "" if self.margin is None else f"; {self.margin:.4f} must be found"
        sizes = range(len(values) + 1, MOST_NEW)
        place = bisect_left(sizes, True, key=lambda seeds: smallest(seeds) <= allowed)
        return Evidence(
            observed=drop,
            threshold=allowed,
            interval=interval,
            p_fail=p_lower(before, values),
            p_pass=p_lower([value + allowed for value in values], before),
            detail=f"held-out accuracy {mean_sd(values)}, baseline {mean_sd(before)}: a drop of "
            f"{drop:+.4f}, {between(interval)}; {len(before)} and {len(values)} seeds find a drop "
            f"of {seen:.4f} with 90 % power{stated}{collapsed_in_words(dead, runs)}",
            advice=in_seeds(sizes[place], len(values))
            if place < len(sizes)
            else "no number of new seeds would decide it; more seeds in the baseline would, or a "
            "larger accuracy_drop",
            settled="fail" if dead and not self.baseline.collapsed else None,
            at_end="pass" if self.margin is None or seen <= self.margin else "inconclusive",
        )
