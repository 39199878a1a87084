"""Noise, thresholds that suit it and the changes that are found, on made-up runs."""

import math
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from answered import LABELS, constant_run, run_of, runs_of
from scipy import stats

from cnnbench.stats.intervals import Spread
from cnnbench.verdicts.calibration import LEAST_LIMIT, STEP, Calibrator, noise_of
from cnnbench.verdicts.gates.evidence import Levels, least_sd
from cnnbench.verdicts.gates.rules import (
    AccuracyTarget,
    GeneralizationGapLimit,
    TrainAccuracyTarget,
)
from cnnbench.verdicts.resampling import drawn, judged

LEVELS = Levels(0.01 / 3, 0.05, 8)
SESSIONS = 40
# Twenty values around nothing whose standard deviation is 1.
SHAPE = stats.norm.ppf((np.arange(20) + 0.5) / 20)
SHAPE /= SHAPE.std(ddof=1)


def pool(sd: float, *, wrong: float = 15, gap: float = 0.02):
    """Twenty runs with these pictures wrong on average, and as many points of spread."""
    rng = np.random.default_rng(1)
    found = []
    for seed, (one, other) in enumerate(zip(SHAPE, rng.permutation(SHAPE), strict=True)):
        missed = rng.choice(100, round(wrong + sd * one), replace=False).tolist()
        run = run_of(missed, seed=seed)
        train = run.val_accuracy + gap + sd / 100 * other
        found.append(replace(run, train_accuracy=train))
    return found


def calibrator(sd: float, sessions: int = SESSIONS, **changes):
    runs = pool(sd, **changes)
    return Calibrator(runs, LABELS, LEVELS, 3, sessions), noise_of(runs, LABELS)


# Noise


def test_noise_is_mean_spread_and_floor():
    trained = (0.95, 0.96, 0.93, 0.94)
    runs = [
        replace(run, train_accuracy=accuracy)
        for run, accuracy in zip(runs_of(10, 12, 15, 9), trained, strict=True)
    ]
    noise = noise_of(runs, LABELS)
    values, gaps = [0.90, 0.88, 0.85, 0.91], [0.05, 0.08, 0.08, 0.03]
    assert (noise.seeds, noise.collapsed) == (4, ())
    assert noise.mean == pytest.approx(fmean(values))
    assert noise.spread == Spread(pytest.approx(stdev(values)), 3)
    assert noise.gap_mean == pytest.approx(fmean(gaps))
    assert noise.gap_spread == Spread(pytest.approx(stdev(gaps)), 3)
    assert noise.train_mean == pytest.approx(fmean(trained))
    assert noise.train_spread == Spread(pytest.approx(stdev(trained)), 3)
    assert noise.floor == least_sd(values, 100)


def test_the_interval_of_noise_is_by_chi_square():
    noise = noise_of(runs_of(10, 12, 15, 9), LABELS)
    sd = stdev([0.90, 0.88, 0.85, 0.91])
    # The quantiles of 3 degrees of freedom are 0.216 and 9.348 in every table.
    assert noise.interval.low == pytest.approx(sd * math.sqrt(3 / 9.348), rel=1e-3)
    assert noise.interval.high == pytest.approx(sd * math.sqrt(3 / 0.216), rel=1e-3)


def test_collapsed_seeds_are_named_and_no_noise():
    alive = runs_of(10, 12, 11)
    noise = noise_of([*alive, constant_run(seed=7), constant_run(1, seed=8)], LABELS)
    assert noise.collapsed == (7, 8)
    assert replace(noise, collapsed=()) == noise_of(alive, LABELS)


@pytest.mark.parametrize("alive", [0, 1])
def test_two_seeds_at_least_must_learn(alive):
    runs = [*runs_of(10)[:alive], *(constant_run(seed=seed) for seed in (7, 8))]
    message = r"at least two seeds that learn; 20 are good\. Received: variant='documented', seeds="
    with pytest.raises(ValueError, match=rf"{message}\[.*7, 8\], collapsed=\[7, 8\]"):
        noise_of(runs, LABELS)


@pytest.mark.parametrize("wrong", [0, 10])
def test_seeds_that_are_all_alike_are_known_to_have_the_least_spread(wrong):
    noise = noise_of([replace(run, train_accuracy=1.0) for run in runs_of(*[wrong] * 10)], LABELS)
    assert noise.spread == noise.train_spread == Spread(0.0, 9)
    assert noise.known(noise.spread) == Spread(noise.floor, 9)
    assert noise.floor > 0
    other = Spread(0.001, 9)
    assert noise.known(other) == other


# Targets


@pytest.fixture(scope="module")
def quiet():
    """What is proposed for a spread of one point."""
    own, noise = calibrator(1.0)
    return own.target(noise), own.gap(noise), own.drop()


@pytest.fixture(scope="module")
def loud():
    """What is proposed for a spread of four points."""
    own, noise = calibrator(4.0)
    return own.target(noise), own.gap(noise), own.drop()


def test_a_target_stands_clear_of_the_mean_as_far_as_noise_asks(quiet, loud):
    assert 0.75 < loud[0].threshold < quiet[0].threshold - 0.02 < 0.83 < 0.85


def test_proposals_are_round_numbers(quiet, loud):
    for found in (*quiet[:2], *loud[:2]):
        assert found.threshold / STEP == pytest.approx(round(found.threshold / STEP))


def test_each_proposal_says_which_check_it_is_of(quiet):
    assert [one.check for one in quiet] == ["accuracy", "generalization_gap", "accuracy_drop"]


def test_clean_sessions_are_green_at_what_is_proposed(quiet, loud):
    for found in (*quiet[:2], *loud[:2]):
        assert (found.failed, found.undecided, found.sessions) == (0, 0, SESSIONS)


def test_sessions_that_were_not_seen_are_green_at_the_target_too(loud):
    runs, rng = pool(4.0), np.random.default_rng(5)
    rule = AccuracyTarget(loud[0].threshold, noise_of(runs, LABELS).spread)
    verdicts = [
        judged([("", rule)], {"": drawn(runs, 8, rng, again=True)}, LEVELS, LABELS)[0].verdict
        for _ in range(200)
    ]
    assert verdicts.count("pass") >= 196


def test_a_target_nearer_to_the_mean_would_not_be_green():
    """The margin is there for something: halfway to the mean sessions are undecided."""
    own, noise = calibrator(4.0)
    halfway = (own.target(noise).threshold + noise.mean) / 2
    rng = np.random.default_rng(5)
    verdicts = [
        judged(
            [("", AccuracyTarget(halfway, noise.spread))],
            {"": drawn(own.runs, 8, rng, again=True)},
            LEVELS,
            LABELS,
        )[0].verdict
        for _ in range(100)
    ]
    assert verdicts.count("pass") < 99


def test_the_target_keeps_clear_of_where_the_mean_may_truly_be():
    # Two standard errors of the mean of 20 seeds, on top of what the sessions ask for.
    own, noise = calibrator(4.0, sessions=20)
    sure = replace(noise, seeds=10**8)
    margin = 2 * noise.spread.sd / math.sqrt(20)
    assert own.target(sure).threshold - own.target(noise).threshold == pytest.approx(
        margin, abs=STEP
    )
    assert own.gap(noise).threshold - own.gap(sure).threshold == pytest.approx(margin, abs=STEP)


def test_the_training_target_is_that_of_the_training_accuracy():
    own, noise = calibrator(1.0, sessions=20, gap=0.05)
    found = own.train_target(noise)
    assert (found.check, found.failed, found.undecided) == ("train_accuracy", 0, 0)
    # Seeds' spread of it is sqrt(2) points: that of the held-out accuracy and that of the gap.
    assert noise.train_mean == pytest.approx(0.90, abs=0.005)
    assert noise.train_mean - 0.05 < found.threshold < noise.train_mean - 0.02
    calm = replace(noise, train_spread=Spread(0.001, 19))
    assert found.threshold < own.train_target(calm).threshold < noise.train_mean
    # What is planted is a drop of the held-out accuracy, which this gate does not look at.
    assert found.smallest is None


def test_what_is_proposed_for_seeds_that_are_all_alike_is_green_with_what_is_stated():
    runs = [replace(run, train_accuracy=1.0) for run in runs_of(*[0] * 10)]
    own, noise = Calibrator(runs, LABELS, LEVELS, 3, 20), noise_of(runs, LABELS)
    stated = Spread(noise.floor, 9)
    for found, rule in (
        (own.target(noise), AccuracyTarget),
        (own.train_target(noise), TrainAccuracyTarget),
        (own.gap(noise), GeneralizationGapLimit),
    ):
        pools = {"": drawn(runs, 8, np.random.default_rng(0))}
        (result,) = judged([("", rule(found.threshold, stated))], pools, LEVELS, LABELS)
        assert (result.verdict, result.values) == ("pass", 3)
        assert found.threshold < 1


# Limits on the gap


def test_a_gap_limit_stands_above_the_mean_and_grows_with_noise(quiet, loud):
    assert LEAST_LIMIT < quiet[1].threshold < loud[1].threshold < 0.2


def test_a_gap_limit_is_that_of_the_gap_and_not_of_the_accuracy():
    wide, narrow = (calibrator(1.0, sessions=20, gap=gap) for gap in (0.1, 0.04))
    found = [own.gap(noise).threshold for own, noise in (wide, narrow)]
    assert found[0] - found[1] == pytest.approx(0.06, abs=0.011)


@pytest.mark.parametrize("gap", [-0.2, -0.05])
def test_a_gap_limit_is_never_below_the_least(gap):
    own, noise = calibrator(1.0, sessions=20, gap=gap)
    assert own.gap(noise).threshold == LEAST_LIMIT


def test_a_network_that_overfits_is_red_at_the_proposed_limit(quiet):
    rule = GeneralizationGapLimit(quiet[1].threshold, noise_of(pool(1.0), LABELS).gap_spread)
    over = [replace(run, train_accuracy=run.train_accuracy + 0.1) for run in pool(1.0)]
    (result,) = judged([("", rule)], {"": drawn(over, 8, np.random.default_rng(0))}, LEVELS, LABELS)
    assert result.verdict == "fail"


@pytest.mark.parametrize("name", ["spread", "train_spread", "gap_spread"])
def test_what_is_known_of_the_spread_brings_a_threshold_nearer(name):
    own, noise = calibrator(4.0)
    own = replace(own, levels=replace(LEVELS, most=3))  # with eight seeds it hardly matters
    unknown = replace(noise, **{name: Spread(getattr(noise, name).sd, 0)})
    proposal = {"spread": own.target, "train_spread": own.train_target, "gap_spread": own.gap}[name]
    sign = -1 if name == "gap_spread" else 1
    assert sign * (proposal(noise).threshold - proposal(unknown).threshold) > STEP / 2


# What is found


def test_the_gate_against_a_baseline_seldom_alarms(quiet, loud):
    for found in (quiet[2], loud[2]):
        assert (found.failed, found.undecided) == (0, 0)
    assert quiet[2].threshold < loud[2].threshold


def test_the_smallest_change_grows_with_noise(quiet, loud):
    for calm, noisy in zip(quiet, loud, strict=True):
        assert 0 < calm.smallest < noisy.smallest < 0.3
    # A drop is found against a baseline before it reaches a target or a limit.
    assert quiet[2].smallest < min(quiet[0].smallest, quiet[1].smallest)


def test_the_smallest_change_is_red_in_nine_of_ten_sessions_and_half_of_it_is_not(loud):
    own, noise = calibrator(4.0)
    rule = AccuracyTarget(loud[0].threshold, noise.spread)
    for share, found in ((loud[0].smallest, True), (loud[0].smallest / 2, False)):
        verdicts = [verdict for verdict, _ in own._results(rule, share, SESSIONS)]
        assert (verdicts.count("fail") >= 0.9 * SESSIONS) is found


def test_the_smallest_change_is_that_of_the_power_formula(quiet):
    # The threshold of a drop is worked out, the smallest change is resampled.
    assert quiet[2].smallest == pytest.approx(quiet[2].threshold, rel=0.4)


def test_nothing_is_found_where_no_change_that_was_tried_is():
    own, noise = calibrator(1.0, sessions=20)
    low = AccuracyTarget(0.3, noise.spread)
    assert own._gated(low).smallest is None
    assert own._gated(AccuracyTarget(0.80, noise.spread)).smallest is not None


def test_false_alarms_and_undecided_sessions_are_counted():
    own, noise = calibrator(1.0, sessions=20)
    above, at = (own._gated(AccuracyTarget(target, noise.spread)) for target in (0.9, noise.mean))
    assert (above.failed, above.undecided, above.smallest) == (20, 0, pytest.approx(0, abs=0.003))
    assert at.undecided > 10
    assert at.failed + at.undecided <= 20


def test_the_same_seed_gives_the_same_and_another_one_another():
    own, noise = calibrator(4.0, sessions=20)
    between = AccuracyTarget(0.83, noise.spread)
    found, again = own._verdicts(between, 0.02), own._verdicts(between, 0.02)
    assert found == again
    assert replace(own, seed=1)._verdicts(between, 0.02) != found


def test_the_levels_are_those_of_the_session():
    own, noise = calibrator(4.0, sessions=30)
    lax = replace(own, levels=Levels(0.2, 0.05, 8))
    rule = AccuracyTarget(noise.mean, noise.spread)
    assert own._gated(rule).failed < lax._gated(rule).failed
