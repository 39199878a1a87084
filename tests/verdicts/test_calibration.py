"""Sessions drawn from made-up runs: drops planted in them, thresholds and the changes found."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from factories import LABELS, constant_run, run_of, runs_of, training_run
from scipy import stats

from cnnbench.stats.intervals import Spread, spread_of
from cnnbench.verdicts import calibration
from cnnbench.verdicts.calibration import STEP, Calibrator, drawn, judged, with_drop
from cnnbench.verdicts.gates.evidence import Levels, answers_of, correct_of, least_sd
from cnnbench.verdicts.gates.rules import AccuracyTarget

KNOWN = Spread(0.01, 19)
LEVELS = Levels(0.01 / 3, 0.05, 8)
SESSIONS = 10
# Twenty values around nothing whose standard deviation is 1.
SHAPE = stats.norm.ppf((np.arange(20) + 0.5) / 20)
SHAPE /= SHAPE.std(ddof=1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def pool(sd: float, gap: float = 0.03):
    """Returns twenty runs with 15 pictures wrong on average, and as many points of spread."""
    rng = np.random.default_rng(1)
    found = []
    for seed, (one, other) in enumerate(zip(SHAPE, rng.permutation(SHAPE), strict=True)):
        missed = rng.choice(100, round(15 + sd * one), replace=False).tolist()
        run = run_of(missed, seed=seed)
        found.append(replace(run, train_accuracy=run.val_accuracy + gap + sd / 100 * other))
    return found


def calibrator(sd: float, sessions: int = SESSIONS, gap: float = 0.03, levels=LEVELS, **changes):
    return Calibrator(pool(sd, gap), LABELS, levels, 3, sessions, **changes)


@cache
def proposals(sd: float):
    """Returns what is proposed: a target, a limit and what a drop does."""
    own = calibrator(sd)
    return own.proposed("accuracy"), own.proposed("generalization_gap"), own.drop()


# Sessions


def test_drawn_runs_are_of_the_pool_with_new_seeds(rng):
    runs = runs_of(*range(12))
    found = drawn(runs, 5, rng)
    assert [run.seed for run in found] == [0, 1, 2, 3, 4]
    own = {run.val_accuracy: run for run in runs}
    assert all(replace(own[run.val_accuracy], seed=run.seed) == run for run in found)
    assert drawn(runs, 5, np.random.default_rng(0)) == found
    with pytest.raises(ValueError, match="larger sample than population"):
        drawn(runs, 13, rng)
    often = [run.val_accuracy for run in drawn(runs, 1200, rng, again=True)]
    assert all(65 < often.count(run.val_accuracy) < 135 for run in runs)  # 100 each, sd 9.6


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.02, 2), (0.3, 30), (1.0, 90)])
def test_a_drop_is_exact_and_of_right_answers_only(rng, share, count):
    run = replace(run_of(10), train_accuracy=0.95)
    lower = with_drop(run, share, LABELS, rng)
    (before,), (after,) = correct_of([run], LABELS), correct_of([lower], LABELS)
    assert (before & ~after).sum() == count
    assert not (after & ~before).any()
    assert lower.val_accuracy == pytest.approx(0.9 - count / 100) == after.mean()
    assert (lower.train_accuracy, lower.seed) == (0.95, run.seed)
    pairs = zip(run.val_probabilities, lower.val_probabilities, strict=True)
    assert all(new in (old, pytest.approx(1 - old)) for (old,), (new,) in pairs)
    other = with_drop(run, share, LABELS, rng)  # other pictures every time
    assert (other == lower) == (count in (0, 90))


@pytest.mark.parametrize(
    "row",
    [
        (0.5,),  # the first class, as one half is
        (math.nextafter(0.5, 0),),
        (0.2, 0.5, 0.3),
        (0.4, 0.4, 0.2),
        (0.0, 1.0, 0.0),
    ],
)
def test_every_right_answer_can_be_flipped(rng, row):
    run = training_run(val_accuracy=1.0, val_probabilities=(row,) * 4)
    label = int(answers_of(run)[0])
    lower = with_drop(run, 0.5, (label,) * 4, rng)
    assert (answers_of(lower) != label).sum() == 2
    assert lower.val_accuracy == 0.5


def test_a_session_has_a_verdict_for_each_rule_in_order_and_adds_runs_of_its_pool():
    rules = [("good", AccuracyTarget(0.8, KNOWN)), ("bad", AccuracyTarget(0.8, KNOWN))]
    rules += [("even", AccuracyTarget(0.9))]
    pools = {"good": runs_of(*[10] * 8), "bad": runs_of(*[30] * 8), "even": runs_of(*[9, 11] * 4)}
    found = [(one.verdict, one.values) for one in judged(rules, pools, Levels(), LABELS, 5)]
    assert found == [("pass", 5), ("fail", 5), ("inconclusive", 8)]


def test_sessions_are_those_of_the_seed_the_levels_and_the_first_look():
    own = calibrator(4.0, sessions=12)
    rule = AccuracyTarget(0.85, own.known("accuracy"))
    assert own.sessions_of(rule, 0.02) == own.sessions_of(rule, 0.02)
    assert own.sessions_of(rule) != calibrator(4.0, sessions=12, seed=1).sessions_of(rule)
    lax = calibrator(4.0, sessions=12, levels=Levels(0.2, 0.05, 8))
    assert own.gated(rule).failed < lax.gated(rule).failed
    assert {one.values for one in own.sessions_of(rule)} <= {3, 5, 8}


# Noise


@pytest.mark.parametrize(
    ("check", "values"),
    [
        ("accuracy", [0.90, 0.88, 0.85, 0.91]),
        ("train_accuracy", [0.95, 0.96, 0.93, 0.94]),
        ("generalization_gap", [0.05, 0.08, 0.08, 0.03]),
    ],
)
def test_noise_is_that_of_the_seeds_that_learn(check, values):
    trained = zip(runs_of(10, 12, 15, 9), (0.95, 0.96, 0.93, 0.94), strict=True)
    runs = [replace(run, train_accuracy=accuracy) for run, accuracy in trained]
    found = Calibrator([*runs, constant_run(seed=7)], LABELS, LEVELS, 3, 100)
    assert found.values(check) == pytest.approx(values)
    assert found.known(check) == Spread(pytest.approx(spread_of(values).sd), 3)
    assert found.baseline.collapsed == (7,)
    assert found.floor == least_sd([0.90, 0.88, 0.85, 0.91], 100)


def test_seeds_that_are_all_alike_have_the_least_spread_and_are_green_with_it():
    runs = [replace(run, train_accuracy=1.0) for run in runs_of(*[0] * 10)]
    own = Calibrator(runs, LABELS, LEVELS, 3, 3)
    for check, (_, rule, _) in calibration.PROPOSED.items():
        assert own.known(check) == Spread(own.floor, 9)
        threshold = own.proposed(check).threshold
        gates = [("", rule(threshold, own.known(check)))]
        (result,) = judged(gates, {"": runs}, LEVELS, LABELS)
        assert (result.verdict, result.values) == ("pass", 3)
        assert threshold < 1


# What is proposed, and what is found


def test_thresholds_are_round_and_as_far_from_the_mean_as_noise_asks():
    quiet, loud = proposals(1.0), proposals(4.0)
    assert 0.75 < loud[0].threshold < quiet[0].threshold - 0.02 < 0.83
    assert calibration.LEAST_LIMIT < quiet[1].threshold < loud[1].threshold < 0.2
    for found in (*quiet, *loud):
        assert (found.failed, found.undecided, found.sessions) == (0, 0, SESSIONS)
    for found in (*quiet[:2], *loud[:2]):
        assert found.threshold / STEP == pytest.approx(round(found.threshold / STEP))
    assert [one.check for one in quiet] == ["accuracy", "generalization_gap", "accuracy_drop"]


def test_other_sessions_are_green_at_the_target_and_not_halfway_to_the_mean():
    own, target = calibrator(4.0, sessions=100, seed=5), proposals(4.0)[0].threshold
    green = []
    for threshold in (target, (target + 0.85) / 2):
        results = own.sessions_of(AccuracyTarget(threshold, own.known("accuracy")))
        green.append(sum(result.verdict == "pass" for result in results))
    assert green[0] >= 98 >= green[1]


def test_thresholds_keep_clear_of_where_the_mean_may_truly_be():
    # With twenty times the same runs the mean is known, and two standard errors of it are less.
    few, many = (Calibrator(pool(4.0) * n, LABELS, LEVELS, 3, 20) for n in (1, 20))
    margin = 2 * few.known("accuracy").sd / math.sqrt(20) * (1 - 1 / math.sqrt(20))
    nearer = many.proposed("accuracy").threshold - few.proposed("accuracy").threshold
    assert nearer == pytest.approx(margin, abs=2 * STEP)


def test_each_threshold_is_that_of_its_own_property():
    found = calibrator(1.0, sessions=20, gap=0.05).proposed("train_accuracy")
    assert (found.check, found.failed, found.undecided) == ("train_accuracy", 0, 0)
    assert 0.85 < found.threshold < 0.88
    # What is planted is a drop of the held-out accuracy, which this gate does not look at.
    assert found.smallest is None
    high, low, least = (
        calibrator(1.0, gap=gap).proposed("generalization_gap").threshold
        for gap in (0.1, 0.04, -0.2)
    )
    assert high - low == pytest.approx(0.06, abs=0.011)
    assert least == calibration.LEAST_LIMIT
    # What other pictures would change is more than seeds that hardly differ tell.
    assert calibrator(0.01, gap=0.1).proposed("generalization_gap").undecided == 0


def test_the_smallest_change_grows_with_noise():
    quiet, loud = proposals(1.0), proposals(4.0)
    for calm, noisy in zip(quiet, loud, strict=True):
        assert 0 < calm.smallest < noisy.smallest < 0.3
    # A drop is found against a baseline before it reaches a target or a limit, and its threshold
    # is worked out where the smallest change is resampled.
    assert quiet[2].smallest < min(quiet[0].smallest, quiet[1].smallest)
    assert quiet[2].smallest == pytest.approx(quiet[2].threshold, rel=0.4)


def test_false_alarms_and_undecided_sessions_are_counted():
    own = calibrator(1.0, sessions=20)
    low, at, above = (
        own.gated(AccuracyTarget(target, own.known("accuracy"))) for target in (0.3, 0.85, 0.9)
    )
    assert (above.failed, above.undecided, above.smallest) == (20, 0, pytest.approx(0, abs=0.003))
    assert at.undecided > 10
    assert at.failed + at.undecided <= 20
    assert low.smallest is None
