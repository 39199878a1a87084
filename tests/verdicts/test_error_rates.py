"""Do gates keep their stated error rates? The bounded version of `reports/calibration/`.

Runs are made up: a quarter of the pictures is hard, and how many of them a seed gets wrong is
beta-binomial, so that seeds' standard deviation is near the floor of Jordan (arXiv 2304.01910).
Where recipes are unstable, some seeds lose more: a long lower tail. Every session draws other
runs from a fixed seed, and a gate that is right exceeds a bound in one of 1000 cases.
"""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from factories import run_of
from scipy import stats

from cnnbench.verdicts.calibration import drawn, judged, with_drop
from cnnbench.verdicts.gates import rules as gate
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import Levels

PICTURES = 1000
FEW = 200  # quick, and equal accuracies are frequent, which is harder
WRONG = 0.12
BEFORE = 20
LEVELS = Levels(alpha=0.01, beta=0.05, most=8)
SLOW = pytest.param(0.01, 600, marks=pytest.mark.slow)


def labels_of(pictures):
    return (0, 1) * (pictures // 2)


def most(rate, of):
    """Returns how many there are at most in 999 of 1000 cases, if the rate is as stated."""
    return int(stats.binom.isf(1e-3, of, rate))


def made_up(rng, count, pictures=PICTURES, unstable=0.0):
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


def with_gap(rng, gap, pictures, hard=1.5, spread=0.05):
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


def drops(rng, pool, sessions, alpha, share):
    """Returns verdicts on 3 to 8 new seeds against 20, after a drop by this share of pictures."""
    labels, levels = labels_of(len(pool[0].val_probabilities)), replace(LEVELS, alpha=alpha)
    verdicts = Counter()
    for _ in range(sessions):
        own = drawn(pool, BEFORE + levels.most, rng)
        rule = gate.AccuracyDrop(baseline_of(own[:BEFORE], ()))
        new = [with_drop(run, share, labels, rng) for run in own[BEFORE:]]
        (result,) = judged([("", rule)], {"": drawn(new, len(new), rng)}, levels, labels)
        verdicts[result.verdict] += 1
    return verdicts


def gaps(gap, pictures, sessions, alpha=LEVELS.alpha):
    """Returns verdicts against a limit of 5 points."""
    rng, verdicts = np.random.default_rng(3), Counter()
    rules, levels = [("", gate.GeneralizationGapLimit(0.05))], replace(LEVELS, alpha=alpha)
    for _ in range(sessions):
        pools = {"": with_gap(rng, gap, pictures)}
        (result,) = judged(rules, pools, levels, labels_of(pictures))
        verdicts[result.verdict] += 1
    return verdicts


@pytest.mark.parametrize(("alpha", "sessions"), [(0.1, 200), SLOW])
def test_equal_recipes_alarm_no_more_often_than_stated(alpha, sessions):
    rng = np.random.default_rng(1)
    verdicts = drops(rng, made_up(rng, 200, FEW, unstable=0.15), sessions, alpha, 0.0)
    assert verdicts["fail"] <= most(alpha, sessions)
    assert verdicts["fail"] + verdicts["pass"] == sessions
    # A gate that never alarms is none.
    assert verdicts["fail"] >= (0.02 if alpha == 0.1 else 0) * sessions


def test_a_drop_of_two_points_is_found():
    rng = np.random.default_rng(2)
    assert drops(rng, made_up(rng, 60), 40, LEVELS.alpha, 0.02)["fail"] >= 0.9 * 40


@pytest.mark.parametrize(("alpha", "sessions"), [(0.1, 150), SLOW])
def test_a_gap_at_the_limit_alarms_and_passes_no_more_often_than_stated(alpha, sessions):
    verdicts = gaps(0.05, FEW, sessions, alpha)
    assert verdicts["fail"] <= most(alpha, sessions)
    assert 1 <= verdicts["pass"] <= most(LEVELS.beta, sessions)


def test_a_gap_of_ten_points_is_found_and_none_is_passed():
    assert gaps(0.10, PICTURES, 20)["fail"] >= 18
    assert gaps(0.0, PICTURES, 20)["pass"] >= 18


def test_a_suite_of_twenty_gates_has_one_error_rate():
    """Each gate is as near to an alarm as one may be with which all is well."""
    rng, sessions, levels = np.random.default_rng(4), 25, replace(LEVELS, alpha=0.1)
    pools = {f"{number}": made_up(rng, 40, FEW) for number in range(5)}
    red = 0
    for _ in range(sessions):
        rules, own = [], {}
        for name, pool in pools.items():
            target = float(np.mean([run.val_accuracy for run in pool]))
            seeds = drawn(pool, BEFORE + LEVELS.most, rng)
            own[name] = [
                replace(run, seed=seed, val_loss=0.5 * 1.3 * math.exp(0.1 * rng.standard_normal()))
                for seed, run in enumerate(seeds[BEFORE:])
            ]
            own[f"{name} overfits"] = with_gap(rng, 0.05, FEW)
            rules += [
                (name, gate.AccuracyTarget(target)),
                (name, gate.AccuracyDrop(baseline_of(seeds[:BEFORE], ()))),
                (f"{name} overfits", gate.GeneralizationGapLimit(0.05)),
                (name, gate.ValidationLossRiseLimit(0.3)),
            ]
        found = judged(rules, own, levels, labels_of(FEW))
        red += any(one.verdict == "fail" for one in found)
    assert len(found) == 20
    assert red <= most(levels.alpha, sessions)
