"""The tail of a sum of two estimated errors."""

import numpy as np
import pytest
from scipy import optimize, stats

from cnnbench.stats.behrens_fisher import tail


@pytest.mark.parametrize("distance", [0.0, 1.0, 4.0])
def test_two_normal_errors_are_a_normal_error(distance):
    many = 1e9
    assert tail(distance, (0.6, many), (0.8, many)) == pytest.approx(
        stats.norm.sf(distance), rel=1e-6
    )


@pytest.mark.parametrize("p", [0.025, 1e-4])
def test_an_error_beside_a_tiny_one_is_students(p):
    for df in (2, 7):
        distance = float(stats.t.isf(p, df))
        assert tail(distance, (1.0, df), (1e-4, 100)) == pytest.approx(p, rel=1e-3)


def test_two_cauchy_errors_are_a_cauchy_error():
    assert tail(5.0, (1.0, 1), (1.5, 1)) == pytest.approx(stats.cauchy.sf(5.0 / 2.5), rel=1e-4)


def test_the_order_of_the_parts_is_nothing():
    assert tail(1.3, (0.3, 2), (0.5, 90)) == tail(1.3, (0.5, 90), (0.3, 2))


def test_both_tails_are_everything():
    parts = (0.7, 3), (0.4, 30)
    assert tail(1.1, *parts) + tail(-1.1, *parts) == pytest.approx(1.0)
    assert tail(-1e6, *parts) == pytest.approx(1.0)


@pytest.mark.parametrize(("alpha", "share"), [(0.05, 0.3), (0.01, 0.9), (0.001, 0.9)])
def test_three_values_never_alarm_more_often_than_stated(alpha, share):
    """Satterthwaite's degrees of freedom alarm 2.4 and 10 times too often at 1 % and 0.1 %."""
    rng = np.random.default_rng(5)
    # Strata of the estimated variance, the small ones, which alarm, finer.
    edges = np.geomspace(1e-6, 1, 41)
    variances = share * stats.chi2.ppf(rng.uniform(edges[:-1], edges[1:]), 2) / 2
    rate = 0.0
    for weight, variance in zip(np.diff(edges), variances, strict=True):
        parts = (float(variance) ** 0.5, 2), ((1 - share) ** 0.5, 999)
        just = optimize.brentq(lambda at, of=parts: tail(at, *of) - alpha, 0, 500, xtol=1e-3)
        rate += weight * stats.norm.sf(just)
    assert 0.05 * alpha < rate <= alpha
