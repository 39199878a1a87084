"""What noise there is, thresholds that suit it, and what the gates make of it.

Sessions draw their seeds from real runs (a bootstrap), and the jury of real sessions judges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from cnnbench.pictures.streams import random_stream
from cnnbench.records.checks import CheckResult
from cnnbench.records.runs import TrainingRun
from cnnbench.stats.intervals import Spread, spread_of
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import ROUNDING, Levels, Rule, collapsed_seeds, least_sd
from cnnbench.verdicts.gates.rules import (
    AccuracyDrop,
    AccuracyTarget,
    GeneralizationGapLimit,
    TrainAccuracyTarget,
)
from cnnbench.verdicts.resampling import Runs, drawn, judged, with_drop

RED = 0.005  # share of clean sessions that a proposed threshold may fail, undecided ones included
POWER = 0.9
STEP = 0.005  # proposed thresholds are round numbers
LEAST_LIMIT = 0.05  # less of a gap is no overfitting, however little a recipe varies
# What is proposed: the property's name in a run, the rule, and whether more is good (1) or bad.
PROPOSED: dict[str, tuple[str, Callable[[float, Spread], Rule], int]] = {
    "accuracy": ("val_accuracy", AccuracyTarget, 1),
    "train_accuracy": ("train_accuracy", TrainAccuracyTarget, 1),
    "generalization_gap": ("generalization_gap", GeneralizationGapLimit, -1),
}


@dataclass(frozen=True)
class Gated:
    """What a gate makes of clean sessions, and the least drop that fails in 90 % of sessions."""

    check: str
    threshold: float
    failed: int
    undecided: int
    sessions: int
    smallest: float | None


class Calibrator:
    """Resamples sessions of one variant, without its collapsed seeds.

    The `alpha` of `levels` is already shared among the gates of a session; `first` is the number of
    seeds of the first look, `seed` that of the resampling.
    """

    def __init__(
        self,
        runs: Runs,
        labels: Sequence[int],
        levels: Levels,
        first: int,
        sessions: int,
        seed: int = 0,
    ) -> None:
        dead = collapsed_seeds(runs, labels)
        self.baseline = baseline_of(runs, dead)
        self.floor = least_sd(self.baseline.accuracies, len(labels))
        self._runs = [run for run in runs if run.seed not in dead]
        self._labels, self._levels, self._first = labels, levels, first
        self._sessions, self._seed = sessions, seed

    def values(self, check: str) -> list[float]:
        """Returns the property of a check, one a seed that learns."""
        return [getattr(run, PROPOSED[check][0]) for run in self._runs]

    def known(self, check: str) -> Spread:
        """Returns the spread that the gate is given; seeds that are all alike have the least."""
        spread = spread_of(self.values(check))
        return spread if spread.sd >= ROUNDING else Spread(self.floor, spread.df)

    def proposed(self, check: str) -> Gated:
        """Returns the strictest round threshold that leaves clean sessions green."""
        _, rule, good = PROPOSED[check]
        mean, spread = fmean(self.values(check)), self.known(check)
        red, green = mean, mean - good * 20 * max(spread.sd, self.floor)
        for _ in range(9):
            middle = (green + red) / 2
            passed = self._count(self.sessions_of(rule(middle, spread)), "pass")
            if self._sessions - passed <= RED * self._sessions:
                green = middle
            else:
                red = middle
        # The mean is itself an estimate: the threshold keeps clear of where it may truly be.
        clear = green - good * 2 * spread.sd / math.sqrt(len(self._runs))
        threshold = good * math.floor(good * clear / STEP) * STEP
        if good < 0:
            threshold = max(LEAST_LIMIT, threshold)
        return self.gated(rule(threshold, spread), drops=check != "train_accuracy")

    def drop(self) -> Gated:
        """Returns what the gate against a baseline of these runs does."""
        return self.gated(AccuracyDrop(self.baseline))

    def gated(self, rule: Rule, *, drops: bool = True) -> Gated:
        """Returns what a gate does; with `drops` also the smallest drop that it finds."""
        clean = self.sessions_of(rule)
        return Gated(
            check=rule.check,
            threshold=clean[0].threshold,
            failed=self._count(clean, "fail"),
            undecided=self._count(clean, "inconclusive"),
            sessions=len(clean),
            smallest=self._smallest(rule) if drops else None,
        )

    def _smallest(self, rule: Rule) -> float | None:
        def found(share: float) -> bool:
            failed = self._count(self.sessions_of(rule, share), "fail")
            return failed >= POWER * self._sessions

        low, high = 0.0, 0.30
        if not found(high):
            return None
        while high - low > 0.0025:
            middle = (low + high) / 2
            low, high = (low, middle) if found(middle) else (middle, high)
        return high

    def sessions_of(self, rule: Rule, share: float = 0.0) -> list[CheckResult]:
        """Returns the results of resampled sessions, with a drop by this share of pictures."""
        # The same chance for every threshold and every change, so that they compare.
        rng = random_stream(self._seed, "calibration")
        results = []
        for _ in range(self._sessions):
            pool: Sequence[TrainingRun] = drawn(self._runs, self._levels.most, rng, again=True)
            if share:
                pool = [with_drop(run, share, self._labels, rng) for run in pool]
            results += judged([("", rule)], {"": pool}, self._levels, self._labels, self._first)
        return results

    def _count(self, results: Sequence[CheckResult], verdict: str) -> int:
        return sum(result.verdict == verdict for result in results)
