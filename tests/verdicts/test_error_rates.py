"""Do gates keep their stated error rates? The bounded version of `reports/calibration/`.

Runs are made up: a quarter of the pictures is hard, and how many of them a seed gets wrong is
beta-binomial, so that seeds' standard deviation is near the floor of Jordan (arXiv 2304.01910).
Where recipes are unstable, some seeds lose more: a long lower tail. Every session draws other
runs from a fixed seed, and a gate that is right exceeds a bound in one of 1000 cases.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from answered import run_of
from scipy import stats

from cnnbench.records.records import TrainingRun
from cnnbench.verdicts.calibration import drawn, judged, with_drop
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.rules import (
    AccuracyDrop,
    AccuracyTarget,
    GeneralizationGapLimit,
    ValidationLossRiseLimit,
)

PICTURES = 1000
WRONG = 0.12
BEFORE = 20
LEVELS = Levels(alpha=0.01, beta=0.05, most=8)


def labels_of(pictures: int) -> tuple[int, ...]:
    return (0, 1) * (pictures // 2)


def most(rate: float, of: int) -> int:
    """Returns how many there are at most in 999 of 1000 cases, if the rate is as stated."""
    return int(stats.binom.isf(1e-3, of, rate))


def made_up(
    rng: np.random.Generator, count: int, pictures: int = PICTURES, *, unstable: float = 0.0
) -> list[TrainingRun]:
    """Returns runs of one recipe on the same pictures; `unstable` is the share of bad seeds."""
    hard = rng.permutation(pictures)[: round(2 * WRONG * pictures)]
    found = []
    for seed in range(count):
        share = rng.beta(300, 300)
        if rng.random() < unstable:
            share = min(1.0, share + rng.exponential(0.1))
        missed = rng.choice(hard, rng.binomial(len(hard), share), replace=False)
        found.append(run_of(missed.tolist(), labels_of(pictures), seed=seed))
    return found


# Accuracy against a baseline


def drops(
    rng: np.random.Generator, pool: list[TrainingRun], sessions: int, levels: Levels, share: float
) -> Counter[str]:
    """Returns verdicts on 3 to 8 new seeds against 20, after a drop by this share of pictures."""
    pictures = len(pool[0].val_probabilities)
    verdicts: Counter[str] = Counter()
    for _ in range(sessions):
        own = drawn(pool, BEFORE + levels.most, rng)
        new = own[BEFORE:]
        if share:
            new = [with_drop(run, share, labels_of(pictures), rng) for run in new]
        rule = AccuracyDrop(baseline_of(own[:BEFORE], ()))
        pools = {"": drawn(new, len(new), rng)}
        (result,) = judged([("", rule)], pools, levels, labels_of(pictures))
        verdicts[result.verdict] += 1
    return verdicts


SLOW = pytest.param(0.01, 600, marks=pytest.mark.slow)


@pytest.mark.parametrize(("alpha", "sessions"), [(0.1, 200), SLOW])
def test_equal_recipes_alarm_no_more_often_than_stated(alpha: float, sessions: int) -> None:
    rng = np.random.default_rng(1)
    # On few pictures, which is quick: equal accuracies are frequent, and that is harder.
    pool = made_up(rng, 200, 200, unstable=0.15)
    verdicts = drops(rng, pool, sessions, replace(LEVELS, alpha=alpha), 0.0)
    assert verdicts["fail"] <= most(alpha, sessions)
    assert verdicts["fail"] + verdicts["pass"] == sessions
    # A gate that never alarms is none.
    assert verdicts["fail"] >= (0.02 if alpha == 0.1 else 0) * sessions


def test_a_drop_of_two_points_is_found() -> None:
    rng = np.random.default_rng(2)
    verdicts = drops(rng, made_up(rng, 60), 40, LEVELS, 0.02)
    assert verdicts["fail"] >= 0.9 * 40


# Overfitting


def with_gap(
    rng: np.random.Generator, gap: float, pictures: int, *, hard: float = 1.5, spread: float = 0.05
) -> list[TrainingRun]:
    """Returns a session's runs on new pictures, whose gap to all pictures of their kind is known.

    A seed is right on a picture with the chance `Phi(mean + hard d + spread s)` of standard normal
    difficulties `d` and seed effects `s`.
    """
    mean = float(stats.norm.isf(WRONG)) * math.hypot(1, hard)
    difficulty, found = rng.standard_normal(pictures), []
    for seed in range(LEVELS.most):
        skill = mean + spread * rng.standard_normal()
        missed = np.flatnonzero(rng.standard_normal(pictures) > skill + hard * difficulty)
        truth = float(stats.norm.cdf(skill / math.hypot(1, hard)))
        run = run_of(missed.tolist(), labels_of(pictures), seed=seed)
        found.append(replace(run, train_accuracy=truth + gap))
    return found


def gaps(gap: float, pictures: int, sessions: int, levels: Levels = LEVELS) -> Counter[str]:
    """Returns verdicts against a limit of 5 points."""
    rng, verdicts = np.random.default_rng(3), Counter[str]()
    for _ in range(sessions):
        pools = {"": with_gap(rng, gap, pictures)}
        (result,) = judged([("", GeneralizationGapLimit(0.05))], pools, levels, labels_of(pictures))
        verdicts[result.verdict] += 1
    return verdicts


@pytest.mark.parametrize(("alpha", "sessions"), [(0.1, 150), SLOW])
def test_a_gap_at_the_limit_alarms_and_passes_no_more_often_than_stated(
    alpha: float, sessions: int
) -> None:
    verdicts = gaps(0.05, 200, sessions, replace(LEVELS, alpha=alpha))
    assert verdicts["fail"] <= most(alpha, sessions)
    assert 1 <= verdicts["pass"] <= most(LEVELS.beta, sessions)


def test_a_gap_of_ten_points_is_found_and_none_is_passed() -> None:
    assert gaps(0.10, PICTURES, 20)["fail"] >= 18
    assert gaps(0.0, PICTURES, 20)["pass"] >= 18


# A suite


def test_a_suite_of_twenty_gates_has_one_error_rate() -> None:
    """Each gate is as near to an alarm as one may be with which all is well."""
    rng, sessions, pictures = np.random.default_rng(4), 25, 200
    levels = replace(LEVELS, alpha=0.1)
    pools = [made_up(rng, 40, pictures) for _ in range(5)]
    means = [float(np.mean([run.val_accuracy for run in pool])) for pool in pools]
    red = 0
    for _ in range(sessions):
        rules, own = [], {}
        for number, pool in enumerate(pools):
            seeds = drawn(pool, BEFORE + LEVELS.most, rng)
            name, over = f"{number}", f"{number} overfits"
            own[name] = [
                replace(run, seed=seed, val_loss=0.5 * 1.3 * math.exp(0.1 * rng.standard_normal()))
                for seed, run in enumerate(seeds[BEFORE:])
            ]
            own[over] = with_gap(rng, 0.05, pictures)
            rules += [
                (name, AccuracyTarget(means[number])),
                (name, AccuracyDrop(baseline_of(seeds[:BEFORE], ()))),
                (over, GeneralizationGapLimit(0.05)),
                (name, ValidationLossRiseLimit(0.3)),
            ]
        found = judged(rules, own, levels, labels_of(pictures))
        assert len(found) == 20
        red += any(one.verdict == "fail" for one in found)
    assert red <= most(levels.alpha, sessions)
