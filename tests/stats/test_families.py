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


def test_a_family_of_one_is_left_alone():
    assert holm([0.0123]) == (0.0123,)


def test_an_empty_family_is_empty():
    assert holm([]) == ()


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_the_chance_of_any_false_alarm_is_held(shared):
    normal = np.random.default_rng(3).standard_normal
    z = shared**0.5 * normal((4000, 1)) + (1 - shared) ** 0.5 * normal((4000, 6))
    alarms = np.mean([min(holm(row)) <= 0.05 for row in norm.sf(z).tolist()])
    assert alarms <= 0.05 + 2 * (0.05 * 0.95 / 4000) ** 0.5


def test_what_is_false_costs_the_others_less_than_bonferroni_says():
    rng = np.random.default_rng(4)
    wrong = [[1e-9, 1e-9, 1e-9, float(p)] for p in rng.uniform(size=4000)]
    found = np.mean([holm(row)[3] <= 0.05 for row in wrong])
    assert found == pytest.approx(0.05, abs=0.01)  # 0.0125 by Bonferroni
