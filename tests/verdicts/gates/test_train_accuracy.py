"""The gate on training accuracy."""

import pytest
from factories import data_set, training_run
from scipy import stats

from cnnbench.stats.intervals import Spread
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.rules import TrainAccuracyTarget

LABELS = data_set().validation_labels


def seen(target, *accuracies, known=None):
    rule = TrainAccuracyTarget(target, known) if known else TrainAccuracyTarget(target)
    runs = [training_run(seed=n, train_accuracy=value) for n, value in enumerate(accuracies)]
    return rule.evidence(runs, LABELS, Levels())


def test_both_p_values_are_those_of_the_t_test():
    values = (0.90, 0.92, 0.91, 0.95)
    found = seen(0.9, *values)
    below = stats.ttest_1samp(values, 0.9, alternative="less").pvalue
    assert (found.p_fail, found.p_pass) == (pytest.approx(below), pytest.approx(1 - below))


def test_the_interval_is_students():
    values = (0.90, 0.92, 0.91, 0.95)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = seen(0.9, *values)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_a_known_spread_lets_few_seeds_decide():
    unknown, known = (seen(0.89, 0.91, 0.92, known=k) for k in (None, Spread(0.01, 19)))
    assert unknown.p_pass > 0.05 > known.p_pass


def test_held_out_answers_do_not_matter():
    runs = [training_run(seed=n, train_accuracy=0.9 + n / 100) for n in range(3)]
    dead = [training_run(seed=n, train_accuracy=0.9 + n / 100, val_accuracy=0.5) for n in range(3)]
    first, second = (
        TrainAccuracyTarget(0.9).evidence(some, LABELS, Levels()) for some in (runs, dead)
    )
    assert first == second


def test_the_detail_says_what_lowers_it():
    assert "Wrong labels among the training pictures" in seen(0.9, 0.8, 0.82).detail
