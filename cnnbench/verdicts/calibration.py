"""What noise there is, what the gates make of it, and targets that suit it.

Everything is measured by resampling real runs: sessions draw their seeds from them (a bootstrap)
and the jury of real sessions judges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cnnbench.pictures.streams import random_stream
from cnnbench.records.runs import TrainingRun
from cnnbench.stats.intervals import Interval, Spread, spread_of
from cnnbench.stats.power import sd_interval
from cnnbench.verdicts.gates.answers import collapsed_seeds
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import ROUNDING, Levels, Rule, least_sd
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
LEAST_LIMIT = 0.05


@dataclass(frozen=True)
class Noise:
    """Seeds' spread of one variant; `floor` is sqrt(err / 2n) (Jordan, arXiv 2304.01910)."""

    seeds: int
    mean: float
    spread: Spread
    interval: Interval
    floor: float
    collapsed: tuple[int, ...]
    gap_mean: float
    gap_spread: Spread
    train_mean: float
    train_spread: Spread

    def known(self, spread: Spread) -> Spread:
        """Returns a spread as gates receive it: seeds that are all alike have the least."""
        return spread if spread.sd >= ROUNDING else Spread(self.floor, spread.df)


@dataclass(frozen=True)
class Gated:
    """What a gate makes of clean sessions, and the smallest change that it finds.

    `failed` and `undecided` count sessions of `sessions`; `smallest` is the least change that is
    red in 90 % of sessions, `None` if none that was tried is.
    """

    check: str
    threshold: float
    failed: int
    undecided: int
    sessions: int
    smallest: float | None


def noise_of(runs: Runs, labels: Sequence[int]) -> Noise:
    """Returns the noise of one variant's runs; collapsed seeds are named and left out.

    Raises:
        ValueError: if fewer than two seeds are left.
    """
    dead = collapsed_seeds(runs, labels)
    alive = [run for run in runs if run.seed not in dead]
    if len(alive) < 2:
        raise ValueError(
            f"Noise needs at least two seeds that learn; 20 are good. Received: "
            f"variant={runs[0].variant!r}, seeds={[run.seed for run in runs]}, collapsed={dead}"
        )
    values = [run.val_accuracy for run in alive]
    gaps = [run.generalization_gap for run in alive]
    trained = [run.train_accuracy for run in alive]
    mean = float(np.mean(values))
    spread = spread_of(values)
    return Noise(
        len(alive),
        mean,
        spread,
        sd_interval(spread),
        least_sd(values, len(labels)),
        tuple(dead),
        float(np.mean(gaps)),
        spread_of(gaps),
        float(np.mean(trained)),
        spread_of(trained),
    )


@dataclass(frozen=True)
class Calibrator:
    """Resamples sessions of one variant.

    Args:
        runs: of one variant, none of them collapsed; 20 or more.
        labels: of the held-out pictures.
        levels: of the gates as configured; `alpha` already shared among the gates of a session.
        first: seeds of the first look.
        sessions: resampled sessions for a rate.
        seed: of the resampling.
    """

    runs: Runs
    labels: Sequence[int]
    levels: Levels
    first: int
    sessions: int
    seed: int = 0

    def target(self, noise: Noise) -> Gated:
        """Returns the highest accuracy target that leaves clean sessions green."""

        def rule(target: float) -> Rule:
            return AccuracyTarget(target, spread)

        spread = noise.known(noise.spread)
        return self._gated(rule(self._highest(rule, noise.mean, spread, noise)))

    def train_target(self, noise: Noise) -> Gated:
        """Returns the highest target of the training accuracy that leaves clean sessions green."""

        def rule(target: float) -> Rule:
            return TrainAccuracyTarget(target, spread)

        spread = noise.known(noise.train_spread)
        found = self._highest(rule, noise.train_mean, spread, noise)
        return self._gated(rule(found), drops=False)

    def _highest(
        self, rule: Callable[[float], Rule], mean: float, spread: Spread, noise: Noise
    ) -> float:
        # The mean is itself an estimate: the target keeps clear of where it may truly be.
        margin = 2 * spread.sd / math.sqrt(noise.seeds)
        low = mean - 10 * max(spread.sd, noise.floor)
        return math.floor((self._threshold(rule, low, mean) - margin) / STEP) * STEP

    def gap(self, noise: Noise) -> Gated:
        """Returns the lowest limit on the gap that leaves clean sessions green."""
        spread = noise.known(noise.gap_spread)
        margin = 2 * spread.sd / math.sqrt(noise.seeds)

        def rule(limit: float) -> Rule:
            return GeneralizationGapLimit(limit, spread)

        high = noise.gap_mean + 20 * max(spread.sd, noise.floor)
        found = self._threshold(rule, high, noise.gap_mean) + margin
        # Less than this is no overfitting, however little a recipe varies.
        return self._gated(rule(max(LEAST_LIMIT, math.ceil(found / STEP) * STEP)))

    def drop(self) -> Gated:
        """Returns what the gate against a baseline of these runs does."""
        baseline = baseline_of(self.runs, ())
        return self._gated(AccuracyDrop(baseline))

    def _threshold(self, rule: Callable[[float], Rule], green: float, red: float) -> float:
        """Bisects between a threshold that is surely green and one that is surely not."""
        for _ in range(8):
            middle = (green + red) / 2
            verdicts = self._verdicts(rule(middle), 0.0)
            if len(verdicts) - verdicts.count("pass") <= RED * len(verdicts):
                green = middle
            else:
                red = middle
        return green

    def _gated(self, rule: Rule, *, drops: bool = True) -> Gated:
        verdicts = self._verdicts(rule, 0.0)
        result = self._results(rule, 0.0, 1)[0]
        return Gated(
            rule.check,
            result[1],
            verdicts.count("fail"),
            verdicts.count("inconclusive"),
            len(verdicts),
            self._smallest(rule) if drops else None,
        )

    def _smallest(self, rule: Rule) -> float | None:
        low, high = 0.0, 0.30
        if not self._found(rule, high):
            return None
        while high - low > 0.0025:
            middle = (low + high) / 2
            low, high = (low, middle) if self._found(rule, middle) else (middle, high)
        return high

    def _found(self, rule: Rule, share: float) -> bool:
        verdicts = self._verdicts(rule, share)
        return verdicts.count("fail") >= POWER * len(verdicts)

    def _verdicts(self, rule: Rule, share: float) -> list[str]:
        return [verdict for verdict, _ in self._results(rule, share, self.sessions)]

    def _results(self, rule: Rule, share: float, sessions: int) -> list[tuple[str, float]]:
        # The same chance for every threshold and every change, so that they compare.
        rng = random_stream(self.seed, "calibration")
        found: list[tuple[str, float]] = []
        for _ in range(sessions):
            pool: Sequence[TrainingRun] = drawn(self.runs, self.levels.most, rng, again=True)
            if share:
                pool = [with_drop(run, share, self.labels, rng) for run in pool]
            (result,) = judged([("", rule)], {"": pool}, self.levels, self.labels, self.first)
            found.append((result.verdict, result.threshold))
        return found
