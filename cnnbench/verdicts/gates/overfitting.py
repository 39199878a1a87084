"""TODO docstring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from cnnbench.records.runs import TrainingRun
from cnnbench.stats.intervals import UNKNOWN, Interval, Spread, mean_of, picture_error, widened
from cnnbench.verdicts.gates.answers import Labels, Runs, correct_of
from cnnbench.verdicts.gates.evidence import Evidence, Levels, advice, between, mean_sd
from cnnbench.verdicts.gates.seeds import ROUNDING, _living, _named, _spread_out, least_sd


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


def _expm1(value: float) -> float:
    return math.inf if value > 700 else math.expm1(value)
