"""Sessions drawn from runs, and drops planted in them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from answered import LABELS, constant_run, run_of, runs_of
from factories import training_run

from cnnbench.stats.intervals import Spread
from cnnbench.verdicts.gates.answers import answers_of, correct_of
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.rules import AccuracyTarget, ValidationLossRiseLimit
from cnnbench.verdicts.resampling import drawn, judged, with_drop

POOL = runs_of(*range(12))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# Drawing


def test_drawn_runs_are_of_the_pool_with_new_seeds(rng):
    found = drawn(POOL, 5, rng)
    assert [run.seed for run in found] == [0, 1, 2, 3, 4]
    accuracies = {run.val_accuracy for run in found}
    assert accuracies < {run.val_accuracy for run in POOL}
    assert all(replace(run, seed=0) in [replace(one, seed=0) for one in POOL] for run in found)


def test_without_replacement_each_run_is_drawn_once_and_in_any_order(rng):
    orders = {tuple(run.val_accuracy for run in drawn(POOL, 12, rng)) for _ in range(5)}
    assert len(orders) == 5
    assert {tuple(sorted(order)) for order in orders} == {
        tuple(sorted(run.val_accuracy for run in POOL))
    }


def test_more_than_the_pool_has_are_drawn_with_replacement_only(rng):
    assert len(drawn(POOL[:3], 8, rng, again=True)) == 8
    with pytest.raises(ValueError, match="larger sample than population"):
        drawn(POOL[:3], 8, rng)


def test_every_run_is_drawn_about_as_often(rng):
    draws = [run.val_accuracy for _ in range(400) for run in drawn(POOL, 3, rng, again=True)]
    _, counts = np.unique(draws, return_counts=True)
    # 1200 draws of 12: 100 each, sd 9.6.
    assert len(counts) == 12
    assert 65 < counts.min() <= counts.max() < 135


def test_the_same_chance_draws_the_same(rng):
    assert drawn(POOL, 5, rng) == drawn(POOL, 5, np.random.default_rng(0))


# Drops


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1, 0.3])
def test_a_drop_is_exact_and_of_right_answers_only(rng, share):
    run = replace(run_of(10), train_accuracy=0.95)
    lower = with_drop(run, share, LABELS, rng)
    (before,), (after,) = correct_of([run], LABELS), correct_of([lower], LABELS)
    assert (before & ~after).sum() == round(100 * share)
    assert not (after & ~before).any()
    assert lower.val_accuracy == pytest.approx(0.9 - share) == after.mean()
    assert (lower.train_accuracy, lower.seed) == (0.95, run.seed)


def test_what_is_not_flipped_keeps_its_probability_and_what_is_is_mirrored(rng):
    run = run_of(10)
    lower = with_drop(run, 0.05, LABELS, rng)
    pairs = zip(run.val_probabilities, lower.val_probabilities, strict=True)
    changed = [(before, after) for (before,), (after,) in pairs if before != after]
    assert len(changed) == 5
    assert all(after == pytest.approx(1 - before) for before, after in changed)


def test_other_pictures_are_flipped_every_time(rng):
    runs = [with_drop(run_of(10), 0.05, LABELS, rng) for _ in range(5)]
    assert len({run.val_probabilities for run in runs}) == 5


@pytest.mark.parametrize("half", [0.5, math.nextafter(0.5, 0)])
def test_one_half_is_the_first_class_and_is_flipped_to_the_second(rng, half):
    run = training_run(val_accuracy=1.0, val_probabilities=((half,),) * 4)
    lower = with_drop(run, 1.0, (0, 0, 0, 0), rng)
    assert answers_of(lower).tolist() == [1, 1, 1, 1]
    assert lower.val_accuracy == 0.0


@pytest.mark.parametrize("row", [(0.2, 0.5, 0.3), (0.4, 0.4, 0.2), (0.0, 1.0, 0.0)])
def test_a_softmax_is_flipped_too(rng, row):
    label = int(np.argmax(row))
    run = training_run(val_accuracy=1.0, val_probabilities=(row,) * 4)
    lower = with_drop(run, 0.5, (label,) * 4, rng)
    assert (answers_of(lower) != label).sum() == 2
    assert lower.val_accuracy == 0.5
    assert {sum(one) for one in lower.val_probabilities} == {1.0}


def test_no_more_is_flipped_than_is_right(rng):
    lower = with_drop(run_of(90), 0.3, LABELS, rng)
    assert lower.val_accuracy == 0.0
    assert not correct_of([lower], LABELS).any()


def test_no_drop_is_the_same_run(rng):
    assert with_drop(run_of(10), 0.0, LABELS, rng) == run_of(10)


# Judging


KNOWN = Spread(0.01, 19)


def test_a_session_has_a_verdict_for_each_rule_in_order():
    rules = [("good", AccuracyTarget(0.8, KNOWN)), ("bad", AccuracyTarget(0.8, KNOWN))]
    pools = {"good": runs_of(*[10] * 8), "bad": runs_of(*[30] * 8)}
    assert [one.verdict for one in judged(rules, pools, Levels(), LABELS)] == ["pass", "fail"]


@pytest.mark.parametrize(("first", "values"), [(3, 3), (5, 5)])
def test_the_first_look_has_as_many_seeds_as_are_asked(first, values):
    rules = [("", AccuracyTarget(0.8, KNOWN))]
    (result,) = judged(rules, {"": runs_of(*[10] * 8)}, Levels(), LABELS, first)
    assert (result.verdict, result.values) == ("pass", values)


def test_an_undecided_gate_gets_the_next_runs_of_its_pool():
    rules = [("", AccuracyTarget(0.9))]
    (result,) = judged(rules, {"": runs_of(*[9, 11] * 3)}, Levels(most=6), LABELS)
    assert (result.verdict, result.values) == ("inconclusive", 6)


def test_all_gates_share_the_error_rate():
    rules = [("", AccuracyTarget(0.915, KNOWN))] + [
        ("", ValidationLossRiseLimit(1 + n)) for n in range(39)
    ]
    pools = {"": runs_of(10, 10, 10)}
    alone, beside = (
        judged(some, pools, Levels(0.02, 0.05, 3), LABELS) for some in (rules[:1], rules)
    )
    assert (alone[0].verdict, beside[0].verdict) == ("fail", "inconclusive")
    assert beside[0].p_value == pytest.approx(40 * alone[0].p_value)


def test_the_collapse_of_one_drawn_run_is_seen():
    pools = {"": [*runs_of(10, 11), constant_run(seed=2)]}
    (result,) = judged([("", AccuracyTarget(0.5))], pools, Levels(most=3), LABELS)
    assert result.verdict == "fail"
