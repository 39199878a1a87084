from math import nan

import pytest
from factories import LABELS, constant_run, run_of, runs_of, training_run

from cnnbench.stats.intervals import Estimate, mean_of
from cnnbench.verdicts.gates.evidence import (
    Levels,
    collapsed_seeds,
    correct_of,
    in_seeds,
    mean_rule,
    mean_sd,
)

# Four seeds with a standard deviation of 0.02, so a standard error of 0.01.
SEEN = Estimate(0.80, 0.01, 3)
PICTURES = "no number of seeds would decide it; more held-out pictures would"


def test_a_mean_has_its_spread_and_the_number_of_seeds():
    # Sample standard deviation of 0.5 and 1: sqrt(0.125) = 0.3536.
    assert mean_sd([0.5, 1.0]) == "0.7500 ± 0.3536 (mean ± sd, n=2 seeds)"
    assert mean_sd([0.5]) == "0.5000 (n=1 seed)"


@pytest.mark.parametrize(
    ("threshold", "good", "told"),
    [
        # A pass at 5 %: t(0.95, n - 1) * 0.02 / sqrt(n) <= 0.02 holds from n = 5 (2.132 / 2.236).
        (0.78, 1, "about 1 more seed would"),
        (0.82, -1, "about 1 more seed would"),
        # A fail at 1 %: t(0.99, n - 1) / sqrt(n) <= 1 holds from n = 9 (2.896 / 3).
        (0.82, 1, "about 5 more seeds would"),
        (0.78, -1, "about 5 more seeds would"),
        (0.80, 1, PICTURES),
    ],
)
def test_advice_is_the_seeds_that_would_decide(threshold, good, told):
    assert mean_rule(SEEN, 4, threshold, Levels(), good=good).advice.startswith(told)


def test_advice_is_no_seeds_where_pictures_are_too_few_and_two_where_one_was_seen():
    assert mean_rule(SEEN, 4, 0.78, Levels(), good=1, pictures=(0.02**2, 99)).advice == PICTURES
    told = mean_rule(mean_of([0.8]), 1, 0.7, Levels(), good=1).advice
    assert told.startswith("one seed has no spread; at least two seeds or a known spread would")


@pytest.mark.parametrize(
    ("needed", "more"), [(7, "2 more seeds"), (6, "1 more seed "), (2, "1 more")]
)
def test_at_least_one_more_seed_is_asked_for(needed, more):
    assert in_seeds(needed, 5).startswith(f"about {more}")


# Answers

# Of a hundred pictures, half of them of each class, luck is right on 50 + 2.33 * 5 = 61.65 at most
# in 99 % of cases, and twice as far above chance are 73.3.


def test_correct_has_a_row_a_run_and_a_column_a_picture():
    correct = correct_of(runs_of(1, 3), LABELS)
    assert correct.shape == (2, 100)
    assert correct.sum(axis=1).tolist() == [99, 97]
    assert correct[1, :5].tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    "dead",
    [
        constant_run(0, seed=7),
        constant_run(1, seed=7),
        training_run(seed=7, val_accuracy=0.5, val_probabilities=((nan,),) * 100),
    ],
)
def test_one_answer_for_all_is_a_collapse(dead):
    assert collapsed_seeds([*runs_of(10, 10), dead], LABELS) == [7]


@pytest.mark.parametrize(
    ("wrong", "dead"),
    [
        ((10, 12, 50), [2]),
        ((10, 12, 39), [2]),
        ((10, 12, 38), []),  # above luck
        ((26, 26, 45), [2]),
        ((27, 27, 45), []),  # the others' median is not beyond twice luck
    ],
)
def test_at_chance_while_others_learn_is_a_collapse(wrong, dead):
    assert collapsed_seeds(runs_of(*wrong), LABELS) == dead


def test_chance_is_the_share_of_the_largest_class():
    # 0.8 + 2.33 * sqrt(0.8 * 0.2 / 100) = 0.893: as good as the share of the largest class.
    labels = (0,) * 80 + (1,) * 20
    weak = run_of([*range(5), *range(80, 86)], labels, seed=2)
    assert collapsed_seeds([run_of(1, labels), run_of(1, labels, seed=1), weak], labels) == [2]
