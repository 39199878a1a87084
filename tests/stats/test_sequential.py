"""Looking more than once at data that grow."""

import numpy as np
import pytest
from scipy import stats

from cnnbench.stats.sequential import (
    STUDENT,
    gaussian_levels,
    look_plan,
    nominal_levels,
    sequential_p_value,
    shares_of,
    spent,
)

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
PLANS = ((3, 5, 8), (5, 8, 12, 18, 27, 30))


def bounds(levels):
    return [float(stats.norm.isf(level)) for level in levels]


# Boundaries


def test_boundaries_are_those_published():
    """DeMets & Lan, "Interim analysis: the alpha spending function approach" (1994), table 1:
    alpha3*(t) = alpha t, five looks, 2.5 % one-sided."""
    levels = gaussian_levels(0.025, FIFTHS, rho=1.0)
    assert bounds(levels) == pytest.approx([2.58, 2.49, 2.41, 2.34, 2.28], abs=0.005)


@pytest.mark.parametrize("rho", [1.0, 2.0, 3.0])
def test_boundaries_are_crossed_as_often_as_was_spent(rho):
    """By the multivariate normal distribution instead of the recursion."""
    shares = (0.3, 0.55, 1.0)
    covariance = np.minimum.outer(shares, shares) / np.sqrt(np.outer(shares, shares))
    levels = gaussian_levels(0.05, shares, rho)
    for looks in (1, 2, 3):
        inside = stats.multivariate_normal(cov=covariance[:looks, :looks]).cdf(
            bounds(levels[:looks])
        )
        assert 1 - inside == pytest.approx(0.05 * shares[looks - 1] ** rho, rel=2e-3)


def test_two_looks_are_where_an_equation_puts_them():
    shares = (0.5, 1.0)
    first, second = bounds(gaussian_levels(0.05, shares))
    assert first == pytest.approx(stats.norm.isf(0.025))
    both = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]]).cdf([-first, -second])
    # P(crossed at the second only) = level of the second less P(both)
    assert stats.norm.sf(second) - both == pytest.approx(0.025, rel=1e-4)


def test_one_look_has_the_whole_level():
    assert nominal_levels(0.01, (1.0,)) == pytest.approx((0.01,))


def test_more_looks_have_less_for_students_sake():
    assert nominal_levels(0.06, FIFTHS) == gaussian_levels(0.06 / STUDENT, FIFTHS)


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.0, 1.0), (0.8, 0.4)])
def test_shares_that_do_not_grow_are_refused(shares):
    with pytest.raises(ValueError, match=r"growing shares above 0. Received: shares=\("):
        nominal_levels(0.05, shares)


def test_error_is_spent_as_data_come():
    assert [spent(0.1, share) for share in (0.0, 0.25, 1.0, 1.5)] == [0.0, 0.025, 0.1, 0.1]
    assert spent(0.1, 0.5, rho=2.0) == 0.025


@pytest.mark.parametrize("looks", PLANS)
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
def test_t_tests_at_all_looks_hold_the_error(looks, alpha):
    levels = np.array(nominal_levels(alpha, shares_of(looks)))
    alarms = (student_p_values(looks, 100_000) <= levels).any(axis=1).mean()
    assert 0.75 * alpha < alarms <= alpha + 2 * (alpha / 100_000) ** 0.5


def student_p_values(looks, paths):
    """Return p values of t tests of a true mean, of shape `(paths, looks)`."""
    values = np.random.default_rng(11).standard_normal((paths, looks[-1]))
    return np.stack(
        [
            stats.t.sf(
                np.sqrt(n) * values[:, :n].mean(axis=1) / values[:, :n].std(axis=1, ddof=1), n - 1
            )
            for n in looks
        ],
        axis=1,
    )


# The sequential p value


@pytest.mark.parametrize("looks", PLANS)
@pytest.mark.parametrize("alpha", [1e-6, 0.0033, 0.05, 0.3])
def test_the_p_value_is_the_level_that_just_rejects(looks, alpha):
    shares = shares_of(looks)
    for look, level in enumerate(nominal_levels(alpha, shares)):
        before = [1.0] * look
        assert sequential_p_value([*before, level], shares) == pytest.approx(alpha, rel=2e-3)


def test_a_single_look_leaves_the_p_value_alone():
    assert sequential_p_value([0.0321], (1.0,)) == 0.0321


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


def test_certainty_is_certain():
    assert sequential_p_value([0.0], shares_of((3, 5))) == 0.0


@pytest.mark.parametrize("looks", PLANS)
def test_without_a_change_it_is_uniform_or_larger(looks):
    shares = shares_of(looks)
    paths = student_p_values(looks, 3000)
    found = np.array([sequential_p_value(path.tolist(), shares) for path in paths])
    for level in (0.02, 0.1, 0.3):
        assert (found <= level).mean() <= level + 2.5 * (level * (1 - level) / 3000) ** 0.5
    assert (found <= 0.1).mean() > 0.07  # and not much larger


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


def test_looks_grow_as_asked():
    assert look_plan(2, 20, growth=2.0) == (2, 4, 8, 16, 20)


def test_shares_are_of_the_last_look():
    assert shares_of((2, 5, 10)) == (0.2, 0.5, 1.0)
