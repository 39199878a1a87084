"""Two recipes: what their networks answered, and three questions about them."""

from dataclasses import replace

import numpy as np
import pytest
from factories import data_set, training_run
from scipy import stats

from cnnbench.comparing.recipes import (
    NONE,
    ChangedVote,
    Recipe,
    compare_recipes,
    recipe_of,
    variants_of,
)
from cnnbench.records.records import Environment
from cnnbench.report.frames import report_of
from cnnbench.stats.intervals import difference_of, picture_error, widened
from cnnbench.stats.power import smallest_difference

RECORDS = (
    Environment({"data": {"classes": ["cats", "dogs"]}}),
    data_set(),
    training_run(seed=2, val_probabilities=((0.75,), (0.25,), (0.75,), (0.25,))),
    training_run(seed=1),
    training_run(variant="dropout"),
)


def found(*records, variant="documented"):
    return recipe_of(report_of(records), variant, "mine")


def test_variants_are_those_with_answers():
    assert variants_of(report_of(RECORDS)) == ("documented", "dropout")
    assert variants_of(report_of([])) == ()


def test_answers_are_arrays():
    recipe = found(*RECORDS)
    assert (recipe.label, recipe.data, recipe.data_hash) == ("mine", "pets", "c0ffee")
    assert recipe.pictures == data_set().validation_names
    assert recipe.classes == ("cats", "dogs")
    assert recipe.truth.tolist() == [0, 0, 1, 1]
    assert recipe.seeds == (1, 2)
    assert recipe.given.tolist() == [[0, 1, 1, 1], [1, 0, 1, 0]]
    assert recipe.accuracies == (0.75, 0.5)


def test_the_order_of_classes_is_that_of_the_environment_or_sorted():
    turned = Environment({"data": {"classes": ["dogs", "cats"]}})
    assert found(turned, *RECORDS[1:]).truth.tolist() == [1, 1, 0, 0]
    assert found(*RECORDS[1:]).classes == ("cats", "dogs")


def test_conditions_are_those_of_all_runs():
    conditions = found(*RECORDS, training_run(seed=3, threads=2)).conditions
    assert (conditions["protocol"], conditions["threads"]) == ("one-pass", "1, 2")
    assert {"fingerprint", "backend", "device", "dtype", "batch_size", "epochs"} <= set(conditions)


@pytest.mark.parametrize(
    ("records", "variant", "message"),
    [
        (RECORDS, "x", r"those of documented, dropout. Received: variant='x', report='mine'"),
        ((), "documented", "those of none"),
        (
            (*RECORDS, training_run(seed=1, backend="jax")),
            "documented",
            r"one run per seed.*report='mine', seeds=\[1, 1, 2\]",
        ),
        (
            (*RECORDS, training_run(variant="dropout", backend="jax")),
            "dropout",
            r"one run per seed.*seeds=\[0, 0\]",
        ),
        (
            (*RECORDS, training_run(seed=3, data_hash="beef")),
            "documented",
            r"same pictures.*data_hash=\['beef', 'c0ffee'\]",
        ),
    ],
)
def test_answers_that_are_no_recipe_s_are_refused(records, variant, message):
    with pytest.raises(ValueError, match=message):
        found(*records, variant=variant)


def test_a_seed_that_lacks_an_answer_is_refused():
    report = report_of(RECORDS)
    lacking = replace(report, predictions=report.predictions.drop(index=5))
    with pytest.raises(ValueError, match="each with one answer to the same pictures"):
        recipe_of(lacking, "documented", "mine")


# Recipes

TRUTH = np.array([0] * 50 + [1] * 50)
EASY = np.linspace(0.5, 1.0, 100)


def answers(wrong, label="A", **changes):
    """Returns answers of networks of which number `i` is wrong on the pictures `wrong[i]`."""
    given = np.tile(TRUTH, (len(wrong), 1))
    for row, pictures in zip(given, wrong, strict=True):
        row[list(pictures)] = 1 - row[list(pictures)]
    found = Recipe(
        label=label,
        data="pets",
        data_hash="c0ffee",
        classes=("cats", "dogs"),
        pictures=tuple(f"{number:03}.jpg" for number in range(100)),
        truth=TRUTH,
        seeds=tuple(range(len(wrong))),
        given=given,
        conditions={"protocol": "one-pass"},
    )
    return replace(found, **changes)


def drawn(chances, seeds, number):
    """Returns answers right by chance."""
    right = np.random.default_rng(number).random((seeds, 100)) < chances
    return answers([np.flatnonzero(~row) for row in right], f"drawn {number}")


def test_a_majority_is_the_answer_of_most_seeds_and_ties_have_none():
    assert answers([(0, 1), (0, 99), (0, 99)]).majority()[[0, 1, 2, 99]].tolist() == [1, 0, 0, 0]
    assert answers([(0,), ()]).majority()[[0, 1, 99]].tolist() == [NONE, 0, 1]
    three = replace(answers([(), (), ()]), classes=("a", "b", "c"), given=np.array([[2], [2], [1]]))
    assert three.majority().tolist() == [2]


def test_networks_with_one_answer_are_named():
    assert answers([range(50, 100), (), range(50)], seeds=(3, 4, 5)).constant == (3, 5)


def test_networks_of_common_seeds_share_one_error_rate():
    first = answers([range(10), range(6), (1,), ()])
    second = answers([(), (), (), range(9)], seeds=(0, 1, 2, 9))
    one, other, last = compare_recipes(first, second).networks
    assert (one.seed, one.test.only_first, one.test.only_second) == (0, 0, 10)
    assert (last.seed, last.test.only_first, last.test.only_second) == (2, 0, 1)
    assert one.adjusted == pytest.approx(3 * 2 / 2**10)
    assert other.adjusted == pytest.approx(2 * 2 / 2**6)
    assert (one.found, other.found, last.found) == (True, False, False)


def test_no_seed_in_common_leaves_the_other_questions():
    found = compare_recipes(drawn(EASY, 3, 1), replace(drawn(EASY, 3, 2), seeds=(7, 8, 9)))
    assert found.networks == ()
    assert found.seeds.p_value < 1


def test_changed_votes_are_named():
    found = compare_recipes(answers([(0, 7), (0, 8), (0,)]), answers([(99,), (99,), ()]))
    assert found.votes == (ChangedVote("000.jpg", 0, 1, 0), ChangedVote("099.jpg", 1, 1, 0))


def test_recipes_are_compared_by_students_t_with_two_sides():
    first, second = drawn(EASY, 4, 1), drawn(EASY**0.5, 6, 2)
    expected = stats.ttest_ind(second.accuracies, first.accuracies)
    for found in (compare_recipes(first, second), compare_recipes(second, first)):
        assert found.seeds.p_value == pytest.approx(expected.pvalue)
        assert found.seeds.found
    difference = np.mean(first.accuracies) - np.mean(second.accuracies)
    assert found.seeds.estimate.value == pytest.approx(difference)
    squares = 3 * np.var(first.accuracies, ddof=1) + 5 * np.var(second.accuracies, ddof=1)
    expected = smallest_difference(float(np.sqrt(squares / 8)), 4, 6, 0.025, 0.9)
    assert found.smallest == pytest.approx(expected)


def test_new_pictures_add_their_error():
    first, second = drawn(EASY, 4, 1), drawn(EASY[::-1], 4, 2)
    found = compare_recipes(first, second)
    seeds = difference_of(second.accuracies, first.accuracies)
    assert found.everywhere.estimate == widened(
        seeds, *picture_error(second.correct, first.correct)
    )
    assert found.everywhere.estimate.error > 1.2 * found.seeds.estimate.error


def test_nothing_is_said_about_recipes_by_one_seed_or_by_the_same_recipe():
    for one, other in ((answers([range(30)]), answers([()])), (drawn(EASY, 3, 1),) * 2):
        found = compare_recipes(one, other)
        assert (found.seeds.p_value, found.everywhere.p_value) == pytest.approx((1.0, 1.0))


def test_equal_recipes_are_seldom_told_apart():
    rng = np.random.default_rng(0)
    alarms = {"seeds": 0, "everywhere": 0}
    for number in range(300):
        chances = rng.choice([0.55, 0.8, 0.99], 100)
        pair = drawn(chances, 4, 2 * number), drawn(chances, 4, 2 * number + 1)
        found = compare_recipes(*pair)
        alarms["seeds"] += found.seeds.found
        alarms["everywhere"] += found.everywhere.found
    assert all(0.005 <= count / 300 <= 0.075 for count in alarms.values())


def test_differing_conditions_are_listed():
    first = answers([(), ()], conditions={"protocol": "one-pass", "backend": "jax", "dtype": "f"})
    second = answers([(), ()], conditions={"protocol": "documented", "backend": "jax"})
    found = compare_recipes(first, second).differing
    assert found == ("protocol: one-pass and documented", "dtype: f and None")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_hash": "beef"}, "the pictures differ: pets c0ffee and pets beef"),
        (
            {"classes": ("dogs", "cats"), "pictures": ("x",) * 100},
            r"the classes differ: \('cats', 'dogs'\) and \('dogs'.*names of .*101 are in one only",
        ),
        ({"pictures": answers([()]).pictures[::-1]}, "pictures differ: another order"),
        ({"truth": 1 - TRUTH}, "the true classes of the held-out pictures differ"),
    ],
)
def test_other_questions_are_not_comparable(changes, message):
    first, second = answers([(), ()], "before"), answers([(), ()], "after", **changes)
    received = "Received: first='before', second='after'"
    with pytest.raises(ValueError, match=rf"Not comparable: .*{message}.*{received}"):
        compare_recipes(first, second)
