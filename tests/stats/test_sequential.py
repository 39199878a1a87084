"""Looking more than once at data that grow."""

import numpy as np
import pytest
from scipy import stats

from cnnbench.stats.sequential import (
    STUDENT,
    gaussian_levels,
    holm,
    look_plan,
    nominal_levels,
    sequential_p_value,
    shares_of,
)

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
PLANS = ((3, 5, 8), (5, 8, 12, 18, 27, 30))


def bounds(levels):
    return [float(stats.norm.isf(level)) for level in levels]


def student_p_values(looks, paths):
    """Returns p values of t tests of a true mean, of shape `(paths, looks)`."""
    values = np.random.default_rng(11).standard_normal((paths, looks[-1]))
    t = [np.sqrt(n) * values[:, :n].mean(1) / values[:, :n].std(1, ddof=1) for n in looks]
    return np.stack([stats.t.sf(each, n - 1) for each, n in zip(t, looks, strict=True)], axis=1)


def test_boundaries_are_those_published():
    """DeMets & Lan, "Interim analysis: the alpha spending function approach" (1994), table 1:
    alpha3*(t) = alpha t, five looks, 2.5 % one-sided."""
    levels = gaussian_levels(0.025, FIFTHS)
    assert bounds(levels) == pytest.approx([2.58, 2.49, 2.41, 2.34, 2.28], abs=0.005)


def test_boundaries_are_crossed_as_often_as_was_spent():
    """By the multivariate normal distribution instead of the recursion."""
    shares = (0.3, 0.55, 1.0)
    covariance = np.minimum.outer(shares, shares) / np.sqrt(np.outer(shares, shares))
    levels = gaussian_levels(0.05, shares)
    for looks in (1, 2, 3):
        normal = stats.multivariate_normal(cov=covariance[:looks, :looks])
        inside = normal.cdf(bounds(levels[:looks]))
        assert 1 - inside == pytest.approx(0.05 * shares[looks - 1], rel=2e-3)


def test_one_look_has_the_whole_level_and_more_have_less_for_students_sake():
    assert nominal_levels(0.01, (1.0,)) == pytest.approx((0.01,))
    assert nominal_levels(0.06, FIFTHS) == gaussian_levels(0.06 / STUDENT, FIFTHS)


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.0, 1.0), (0.8, 0.4)])
def test_shares_that_do_not_grow_are_refused(shares):
    with pytest.raises(ValueError, match=r"growing shares above 0. Received: shares=\("):
        nominal_levels(0.05, shares)


@pytest.mark.parametrize("looks", PLANS)
def test_t_tests_at_all_looks_hold_the_error(looks):
    p_values = student_p_values(looks, 60_000)
    for alpha in (0.05, 0.01, 0.001):
        alarms = (p_values <= nominal_levels(alpha, shares_of(looks))).any(axis=1).mean()
        assert 0.7 * alpha < alarms <= alpha + 2 * (alpha / 60_000) ** 0.5


# The sequential p value


@pytest.mark.parametrize("looks", PLANS)
@pytest.mark.parametrize("alpha", [1e-6, 0.0033, 0.05, 0.3])
def test_the_p_value_is_the_level_that_just_rejects(looks, alpha):
    shares = shares_of(looks)
    for look, level in enumerate(nominal_levels(alpha, shares)):
        before = [1.0] * look
        assert sequential_p_value([*before, level], shares) == pytest.approx(alpha, rel=2e-3)


def test_a_single_look_leaves_the_p_value_alone_and_none_decides_nothing():
    assert sequential_p_value([0.0321], (1.0,)) == 0.0321
    assert sequential_p_value([], (1.0,)) == sequential_p_value([], (0.5, 1.0)) == 1.0


def test_another_look_never_raises_it():
    shares = shares_of((3, 5, 8))
    once = sequential_p_value([0.004], shares)
    assert sequential_p_value([0.004, 0.9], shares) == once
    assert sequential_p_value([0.004, 0.0001], shares) < once


def test_it_grows_with_what_it_is_of():
    found = [sequential_p_value([0.5, p], shares_of((3, 5, 8))) for p in np.geomspace(1e-9, 1, 30)]
    assert found == sorted(found)
    assert found[0] < 1e-7
    assert found[-1] == 1.0
    assert sequential_p_value([0.0], shares_of((3, 5))) == 0.0


# Plans


@pytest.mark.parametrize(
    ("first", "most", "plan"),
    [
        (3, 8, (3, 5, 8)),
        (5, 30, (5, 8, 12, 18, 27, 30)),
        (3, 3, (3,)),
        (1, 4, (1, 2, 3, 4)),
        (5, 3, (5,)),
    ],
)
def test_looks_grow_by_half(first, most, plan):
    assert look_plan(first, most) == plan


def test_shares_are_of_the_last_look():
    assert shares_of((2, 5, 10)) == (0.2, 0.5, 1.0)


# Families


def test_holm_as_worked_by_hand():
    # .005 x 4, .01 x 3, .03 x 2, and .04 not below its forerunner
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_no_p_value_is_above_one():
    assert holm([0.6, 0.9, 0.7]) == (1.0, 1.0, 1.0)


def test_a_family_of_one_is_left_alone_and_an_empty_one_is_empty():
    assert holm([0.0123]) == (0.0123,)
    assert holm([]) == ()


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_the_chance_of_any_false_alarm_is_held(shared):
    normal = np.random.default_rng(3).standard_normal
    z = shared**0.5 * normal((2000, 1)) + (1 - shared) ** 0.5 * normal((2000, 6))
    alarms = np.mean([min(holm(row)) <= 0.05 for row in stats.norm.sf(z).tolist()])
    assert alarms <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5
