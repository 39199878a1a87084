"""Looking more than once at data that grow."""

import numpy as np
import pytest
from scipy import stats

from cnnbench.stats.sequential import STUDENT, holm, look_plan, nominal_levels, sequential_p_value

PLAN = (3, 5, 8)
PLANS = (PLAN, (5, 8, 12, 18, 27, 30))


def bounds(levels):
    return [float(stats.norm.isf(level)) for level in levels]


def test_boundaries_are_those_published():
    """DeMets & Lan, "Interim analysis: the alpha spending function approach" (1994), table 1:
    alpha3*(t) = alpha t, five looks, 2.5 % one-sided."""
    levels = nominal_levels(0.025 * STUDENT, (1, 2, 3, 4, 5))
    assert bounds(levels) == pytest.approx([2.58, 2.49, 2.41, 2.34, 2.28], abs=0.005)


def test_boundaries_are_crossed_as_often_as_was_spent():
    """By the multivariate normal distribution instead of the recursion."""
    shares = (0.3, 0.55, 1.0)
    covariance = np.minimum.outer(shares, shares) / np.sqrt(np.outer(shares, shares))
    levels = nominal_levels(0.05 * STUDENT, shares)
    for looks in (1, 2, 3):
        normal = stats.multivariate_normal(cov=covariance[:looks, :looks])
        inside = normal.cdf(bounds(levels[:looks]))
        assert 1 - inside == pytest.approx(0.05 * shares[looks - 1], rel=2e-3)


@pytest.mark.parametrize("looks", PLANS)
def test_t_tests_at_all_looks_hold_the_error(looks):
    values = np.random.default_rng(11).standard_normal((60_000, looks[-1]))
    t = [np.sqrt(n) * values[:, :n].mean(1) / values[:, :n].std(1, ddof=1) for n in looks]
    p_values = np.stack([stats.t.sf(each, n - 1) for each, n in zip(t, looks, strict=True)], axis=1)
    for alpha in (0.05, 0.01, 0.001):
        alarms = (p_values <= nominal_levels(alpha, looks)).any(axis=1).mean()
        assert 0.7 * alpha < alarms <= alpha + 2 * (alpha / 60_000) ** 0.5


# The sequential p value


@pytest.mark.parametrize("looks", PLANS)
@pytest.mark.parametrize("alpha", [1e-6, 0.0033, 0.05, 0.3])
def test_the_p_value_is_the_level_that_just_rejects(looks, alpha):
    for look, level in enumerate(nominal_levels(alpha, looks)):
        found = sequential_p_value([*[1.0] * look, level], looks)
        assert found == pytest.approx(alpha, rel=2e-3)


def test_a_single_look_has_the_whole_error_and_nothing_and_certainty_are_kept():
    assert nominal_levels(0.01, (3,)) == pytest.approx((0.01,))
    assert sequential_p_value([0.0321], (1,)) == 0.0321
    assert sequential_p_value([], (1,)) == sequential_p_value([], PLAN) == 1.0
    assert sequential_p_value([0.5, 1.0], PLAN) == 1.0
    assert 0.0 == sequential_p_value([0.0], PLAN) < sequential_p_value([0.5, 1e-9], PLAN) < 1e-7


def test_another_look_never_raises_it():
    once = sequential_p_value([0.004], PLAN)
    assert sequential_p_value([0.004, 0.9], PLAN) == once
    assert sequential_p_value([0.004, 0.0001], PLAN) < once


@pytest.mark.parametrize(
    ("first", "most", "plan"),
    [(3, 8, PLAN), (5, 30, PLANS[1]), (3, 3, (3,)), (1, 4, (1, 2, 3, 4)), (5, 3, (5,))],
)
def test_looks_grow_by_half(first, most, plan):
    assert look_plan(first, most) == plan


# Families


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # .005 x 4, .01 x 3, .03 x 2, and .04 not below its forerunner
        ([0.01, 0.04, 0.03, 0.005], (0.03, 0.06, 0.06, 0.02)),
        ([0.6, 0.9, 0.7], (1.0, 1.0, 1.0)),
        ([0.0123], (0.0123,)),
        ([], ()),
    ],
)
def test_holm_as_worked_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)
