"""Sessions drawn from runs, and drops planted in them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from answered import LABELS, run_of, runs_of
from factories import training_run

from cnnbench.stats.intervals import Spread
from cnnbench.verdicts.calibration import drawn, judged, with_drop
from cnnbench.verdicts.gates.evidence import Levels, answers_of, correct_of
from cnnbench.verdicts.gates.rules import AccuracyTarget, ValidationLossRiseLimit

POOL = runs_of(*range(12))
KNOWN = Spread(0.01, 19)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_drawn_runs_are_of_the_pool_with_new_seeds(rng):
    found = drawn(POOL, 5, rng)
    assert [run.seed for run in found] == [0, 1, 2, 3, 4]
    pool = {run.val_accuracy: run for run in POOL}
    assert all(replace(pool[run.val_accuracy], seed=run.seed) == run for run in found)
    assert drawn(POOL, 5, np.random.default_rng(0)) == found


def test_more_than_the_pool_has_are_drawn_with_replacement_only(rng):
    draws = [run.val_accuracy for run in drawn(POOL, 1200, rng, again=True)]
    _, counts = np.unique(draws, return_counts=True)
    assert len(counts) == 12  # 100 each, sd 9.6
    assert 65 < counts.min() <= counts.max() < 135
    with pytest.raises(ValueError, match="larger sample than population"):
        drawn(POOL, 13, rng)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.02, 2), (0.3, 30), (1.0, 90)])
def test_a_drop_is_exact_and_of_right_answers_only(rng, share, count):
    run = replace(run_of(10), train_accuracy=0.95)
    lower = with_drop(run, share, LABELS, rng)
    (before,), (after,) = correct_of([run], LABELS), correct_of([lower], LABELS)
    assert (before & ~after).sum() == count
    assert not (after & ~before).any()
    assert lower.val_accuracy == pytest.approx(0.9 - count / 100) == after.mean()
    assert (lower.train_accuracy, lower.seed) == (0.95, run.seed)
    pairs = zip(run.val_probabilities, lower.val_probabilities, strict=True)
    assert all(new in (old, pytest.approx(1 - old)) for (old,), (new,) in pairs)


def test_other_pictures_are_flipped_every_time(rng):
    runs = [with_drop(run_of(10), 0.05, LABELS, rng) for _ in range(5)]
    assert len({run.val_probabilities for run in runs}) == 5


@pytest.mark.parametrize(
    "row",
    [
        (0.5,),  # the first class, as one half is
        (math.nextafter(0.5, 0),),
        (0.2, 0.5, 0.3),
        (0.4, 0.4, 0.2),
        (0.0, 1.0, 0.0),
    ],
)
def test_every_right_answer_can_be_flipped(rng, row):
    run = training_run(val_accuracy=1.0, val_probabilities=(row,) * 4)
    label = int(answers_of(run)[0])
    lower = with_drop(run, 0.5, (label,) * 4, rng)
    assert (answers_of(lower) != label).sum() == 2
    assert lower.val_accuracy == 0.5


def test_a_session_has_a_verdict_for_each_rule_in_order():
    rules = [("good", AccuracyTarget(0.8, KNOWN)), ("bad", AccuracyTarget(0.8, KNOWN))]
    pools = {"good": runs_of(*[10] * 8), "bad": runs_of(*[30] * 8)}
    found = judged(rules, pools, Levels(), LABELS, 5)
    assert [(one.verdict, one.values) for one in found] == [("pass", 5), ("fail", 5)]


def test_an_undecided_gate_gets_the_next_runs_of_its_pool():
    rules = [("", AccuracyTarget(0.9))]
    (result,) = judged(rules, {"": runs_of(*[9, 11] * 4)}, Levels(), LABELS)
    assert (result.verdict, result.values) == ("inconclusive", 8)


def test_all_gates_share_the_error_rate():
    rules = [("", AccuracyTarget(0.915, KNOWN))]
    rules += [("", ValidationLossRiseLimit(1 + n)) for n in range(39)]
    pools = {"": runs_of(10, 10, 10)}
    alone, *_ = judged(rules[:1], pools, Levels(0.02, 0.05, 3), LABELS)
    beside, *_ = judged(rules, pools, Levels(0.02, 0.05, 3), LABELS)
    assert (alone.verdict, beside.verdict) == ("fail", "inconclusive")
    assert beside.p_value == pytest.approx(40 * alone.p_value)
