"""Many tests, one error rate."""

import numpy as np
import pytest
from scipy.stats import norm

from cnnbench.stats.families import holm


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
    alarms = np.mean([min(holm(row)) <= 0.05 for row in norm.sf(z).tolist()])
    assert alarms <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5
