"""Sessions resampled from real runs: what noise there is, and what the gates make of it.

The jury of real sessions judges them, so that thresholds can be proposed that suit the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from cnnbench.pictures.batches import random_stream
from cnnbench.records.records import CheckResult, TrainingRun
from cnnbench.stats.intervals import ROUNDING, Spread, spread_of
from cnnbench.verdicts.gates import evidence, rules
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import Levels, Rule, Runs
from cnnbench.verdicts.gates.jury import Gate, Jury

RED = 0.005  # share of clean sessions that a proposed threshold may fail, undecided ones included
POWER = 0.9
STEP = 0.005  # proposed thresholds are round numbers
LEAST_LIMIT = 0.05  # less of a gap is no overfitting, however little a recipe varies
# What is proposed: the property's name in a run, the rule, and whether more is good (1) or bad.
PROPOSED: dict[str, tuple[str, Callable[[float, Spread], Rule], int]] = {
    "accuracy": ("val_accuracy", rules.AccuracyTarget, 1),
    "train_accuracy": ("train_accuracy", rules.TrainAccuracyTarget, 1),
    "generalization_gap": ("generalization_gap", rules.GeneralizationGapLimit, -1),
}


def drawn(runs: Runs, count: int, rng: np.random.Generator, *, again: bool = False) -> Runs:
    """Returns `count` runs in random order, with seeds 0, 1, ...; with `again` a bootstrap."""
    chosen = rng.choice(len(runs), count, replace=again)
    return [replace(runs[index], seed=seed) for seed, index in enumerate(chosen)]


def with_drop(
    run: TrainingRun, share: float, labels: Sequence[int], rng: np.random.Generator
) -> TrainingRun:
    """Returns the run with this share of the held-out pictures answered wrongly that were right.

    Training accuracy stays, so the drop is one of generalization.
    """
    right = np.flatnonzero(evidence.answers_of(run) == np.asarray(labels))
    count = min(round(share * len(labels)), len(right))
    probabilities = list(run.val_probabilities)
    for index in rng.choice(right, count, replace=False):
        probabilities[index] = _wrong(probabilities[index], labels[index])
    accuracy = (len(right) - count) / len(labels)
    return replace(run, val_probabilities=tuple(probabilities), val_accuracy=accuracy)


def _wrong(row: tuple[float, ...], label: int) -> tuple[float, ...]:
    if len(row) > 1:
        # Swapped probabilities could be equal: the runner-up is made sure.
        other = max((k for k in range(len(row)) if k != label), key=row.__getitem__)
        return tuple(float(k == other) for k in range(len(row)))
    # One half counts as the first class, so its mirror image must not stay there.
    mirrored = 1 - row[0]
    return (mirrored if mirrored != 0.5 else 0.75,)


def judged(
    named: Sequence[tuple[str, Rule]],
    pools: Mapping[str, Runs],
    levels: Levels,
    labels: Sequence[int],
    first: int = 3,
) -> list[CheckResult]:
    """Returns the verdicts of one session.

    Each rule comes with the name of the pool that its runs come from; a pool has as many runs as
    may be used, as `drawn` returns them.
    """
    gates = [Gate(rule, name, tuple(range(first))) for name, rule in named]
    jury = Jury(gates, levels, labels, lambda wanted: [pools[name][seed] for name, seed in wanted])
    return [jury.verdict(gate) for gate in gates]


@dataclass(frozen=True)
class Gated:
    """What a gate makes of clean sessions, and the least drop that fails in 90 % of sessions."""

    check: str
    threshold: float
    failed: int
    undecided: int
    sessions: int
    smallest: float | None


@dataclass
class Calibrator:
    """Resamples sessions of one variant, without its collapsed seeds.

    The `alpha` of `levels` is already shared among the gates of a session; `first` is the number of
    seeds of the first look, `seed` that of the resampling.
    """

    runs: Runs
    labels: Sequence[int]
    levels: Levels
    first: int
    sessions: int
    seed: int = 0

    def __post_init__(self) -> None:
        dead = evidence.collapsed_seeds(self.runs, self.labels)
        self.baseline = baseline_of(self.runs, dead)
        self.floor = evidence.least_sd(self.baseline.accuracies, len(self.labels))
        self.runs = [run for run in self.runs if run.seed not in dead]

    def values(self, check: str) -> list[float]:
        """Returns the property of a check, one a seed that learns."""
        return [getattr(run, PROPOSED[check][0]) for run in self.runs]

    def known(self, check: str) -> Spread:
        """Returns the spread that the gate is given; seeds that are all alike have the least."""
        spread = spread_of(self.values(check))
        return spread if spread.sd >= ROUNDING else Spread(self.floor, spread.df)

    def proposed(self, check: str) -> Gated:
        """Returns the strictest round threshold that leaves clean sessions green."""
        _, rule, good = PROPOSED[check]
        mean, spread = fmean(self.values(check)), self.known(check)

        def is_green(threshold: float) -> bool:
            results = self.sessions_of(rule(threshold, spread))
            return sum(one.verdict != "pass" for one in results) <= RED * self.sessions

        green = _last(is_green, mean - good * 20 * max(spread.sd, self.floor), mean, halvings=9)
        # The mean is itself an estimate: the threshold keeps clear of where it may truly be.
        clear = green - good * 2 * spread.sd / math.sqrt(len(self.runs))
        threshold = good * math.floor(good * clear / STEP) * STEP
        if good < 0:
            threshold = max(LEAST_LIMIT, threshold)
        return self.gated(rule(threshold, spread))

    def drop(self) -> Gated:
        """Returns what the gate against a baseline of these runs does."""
        return self.gated(rules.AccuracyDrop(self.baseline))

    def gated(self, rule: Rule) -> Gated:
        """Returns what a gate does, and the smallest drop of held-out accuracy that it finds."""

        def finds(share: float) -> bool:
            results = self.sessions_of(rule, share)
            return sum(one.verdict == "fail" for one in results) >= POWER * self.sessions

        clean, most = self.sessions_of(rule), 0.30
        verdicts = [one.verdict for one in clean]
        return Gated(
            check=rule.check,
            threshold=clean[0].threshold,
            failed=verdicts.count("fail"),
            undecided=verdicts.count("inconclusive"),
            sessions=len(clean),
            smallest=_last(finds, most, 0.0, halvings=7) if finds(most) else None,
        )

    def sessions_of(self, rule: Rule, share: float = 0.0) -> list[CheckResult]:
        """Returns the results of resampled sessions, with a drop by this share of pictures."""
        # The same chance for every threshold and every change, so that they compare.
        rng = random_stream(self.seed, "calibration")
        results = []
        for _ in range(self.sessions):
            pool = drawn(self.runs, self.levels.most, rng, again=True)
            if share:
                pool = [with_drop(run, share, self.labels, rng) for run in pool]
            results += judged([("", rule)], {"": pool}, self.levels, self.labels, self.first)
        return results


def _last(holds: Callable[[float], bool], here: float, there: float, *, halvings: int) -> float:
    """Returns the value nearest to `there` at which what holds `here` still does."""
    for _ in range(halvings):
        middle = (here + there) / 2
        here, there = (middle, there) if holds(middle) else (here, middle)
    return here
