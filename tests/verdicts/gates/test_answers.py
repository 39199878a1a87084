from math import nan, sqrt

import pytest
from answered import LABELS, constant_run, run_of, runs_of
from factories import training_run

from cnnbench.verdicts.gates.answers import answers_of, collapsed_seeds, correct_of

# Of a hundred pictures, half of them of each class, luck is right on 50 + 2.33 * 5 = 61.65 at most
# in 99 % of cases, and twice as far above chance are 73.3.


def test_answers_are_classes():
    rows = ((0.25,), (0.5,), (0.51,), (nan,))
    assert answers_of(training_run(val_probabilities=rows)).tolist() == [0, 0, 1, -1]


def test_correct_has_a_row_a_run_and_a_column_a_picture():
    correct = correct_of(runs_of(1, 3), LABELS)
    assert correct.shape == (2, 100)
    assert correct.sum(axis=1).tolist() == [99, 97]
    assert correct[1, :5].tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("answer", [0, 1])
def test_one_answer_for_all_is_a_collapse(answer):
    assert collapsed_seeds([*runs_of(10, 10), constant_run(answer, seed=7)], LABELS) == [7]


def test_answers_that_are_no_numbers_are_a_collapse():
    broken = training_run(seed=3, val_accuracy=0.5, val_probabilities=((nan,),) * 100)
    assert collapsed_seeds([*runs_of(10, 10), broken], LABELS) == [3]


@pytest.mark.parametrize(("wrong", "dead"), [(50, [2]), (39, [2]), (38, []), (20, [])])
def test_at_chance_while_others_learn_is_a_collapse(wrong, dead):
    assert collapsed_seeds(runs_of(10, 12, wrong), LABELS) == dead


@pytest.mark.parametrize(("others", "dead"), [(26, [2]), (27, [])])
def test_others_learn_if_their_median_is_beyond_twice_luck(others, dead):
    assert collapsed_seeds(runs_of(others, others, 45), LABELS) == dead


@pytest.mark.parametrize("wrong", [(45, 42, 48, 40, 44), (45, 44, 10), (50,)])
def test_where_most_are_weak_none_collapsed(wrong):
    assert collapsed_seeds(runs_of(*wrong), LABELS) == []


def test_chance_is_the_share_of_the_largest_class():
    # 0.8 + 2.33 * sqrt(0.8 * 0.2 / 100) = 0.893: as good as the share of the largest class.
    labels = (0,) * 80 + (1,) * 20
    assert 0.89 < 0.8 + 2.33 * sqrt(0.8 * 0.2 / 100) < 0.9
    weak = run_of([*range(5), *range(80, 86)], labels, seed=2)
    assert collapsed_seeds([run_of(1, labels), run_of(1, labels, seed=1), weak], labels) == [2]
