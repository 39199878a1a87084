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
from cnnbench.records.runs import Environment
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


# Majorities


def recipe(classes, *given):
    """Returns networks' answers, a row each; all pictures are of the first class."""
    answers = np.array(given)
    count = answers.shape[1]
    names, seeds = tuple(map(str, range(count))), tuple(range(len(given)))
    return Recipe("A", "x", "", tuple(classes), names, np.zeros(count, int), seeds, answers)


def test_a_majority_is_the_answer_of_most_seeds():
    assert recipe("ab", [1, 1, 0], [1, 0, 1], [1, 0, 0]).majority().tolist() == [1, 0, 0]
    assert recipe("abc", [2, 0], [2, 1], [1, 2]).majority().tolist() == [2, NONE]


def test_tied_votes_have_no_majority():
    assert recipe("ab", [1, 0, 1], [0, 0, 1]).majority().tolist() == [NONE, 0, 1]


def test_networks_with_one_answer_are_named():
    found = replace(recipe("ab", [0, 0], [0, 1], [1, 1]), seeds=(3, 4, 5))
    assert found.constant == (3, 5)


TRUTH = np.array([0] * 50 + [1] * 50)


def answers(wrong, label="A", **changes):
    """Return answers of networks of which number `i` is wrong on the pictures `wrong[i]`."""
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
    """Return answers right by chance."""
    right = np.random.default_rng(number).random((seeds, 100)) < chances
    return answers([np.flatnonzero(~row) for row in right], f"drawn {number}")


EASY = np.linspace(0.5, 1.0, 100)


# Comparisons: 1. these networks


def test_networks_are_compared_seed_by_seed():
    first, second = answers([range(10), ()]), answers([range(8, 10), (1,)])
    one, other = compare_recipes(first, second).networks
    assert (one.seed, one.test.only_first, one.test.only_second) == (0, 0, 8)
    assert (other.seed, other.test.only_first, other.test.only_second) == (1, 1, 0)
    assert one.test.p_value == 2 / 2**8


def test_the_networks_of_all_seeds_share_one_error_rate():
    first, second = answers([range(10), range(6), ()]), answers([(), (), ()])
    one, other, last = compare_recipes(first, second).networks
    assert one.adjusted == pytest.approx(3 * 2 / 2**10)
    assert other.adjusted == pytest.approx(2 * 2 / 2**6)
    assert (one.found, other.found, last.found) == (True, False, False)
    assert other.test.p_value < 0.05


def test_only_seeds_in_common_are_paired():
    first, second = answers([(), ()], seeds=(3, 4)), answers([(), (5,)], seeds=(9, 3))
    (one,) = compare_recipes(first, second).networks
    assert (one.seed, one.test.only_first) == (3, 1)


def test_no_seed_in_common_leaves_the_other_questions():
    found = compare_recipes(drawn(EASY, 3, 1), replace(drawn(EASY, 3, 2), seeds=(7, 8, 9)))
    assert found.networks == ()
    assert found.seeds.p_value < 1


def test_changed_votes_are_named():
    found = compare_recipes(answers([(0, 7), (0, 8), (0,)]), answers([(99,), (99,), ()]))
    assert found.votes == (ChangedVote("000.jpg", 0, 1, 0), ChangedVote("099.jpg", 1, 1, 0))


# 2. and 3. The recipes


def test_recipes_are_compared_by_students_t():
    first, second = drawn(EASY, 4, 1), drawn(EASY**0.5, 6, 2)
    found, expected = (
        compare_recipes(first, second),
        stats.ttest_ind(second.accuracies, first.accuracies),
    )
    assert found.seeds.p_value == pytest.approx(expected.pvalue)
    assert found.seeds.estimate.value == pytest.approx(
        np.mean(second.accuracies) - np.mean(first.accuracies)
    )
    assert found.seeds.found


def test_the_p_value_has_two_sides():
    first, second = drawn(EASY, 4, 1), drawn(EASY**0.5, 6, 2)
    there, back = compare_recipes(first, second), compare_recipes(second, first)
    assert there.seeds.p_value == pytest.approx(back.seeds.p_value)
    assert there.seeds.estimate.value == pytest.approx(-back.seeds.estimate.value)


def test_new_pictures_add_their_error():
    first, second = drawn(EASY, 4, 1), drawn(EASY[::-1], 4, 2)
    found = compare_recipes(first, second)
    seeds = difference_of(second.accuracies, first.accuracies)
    expected = widened(seeds, *picture_error(second.correct, first.correct))
    assert found.everywhere.estimate == expected
    assert expected.error > 1.2 * found.seeds.estimate.error
    assert found.everywhere.p_value == pytest.approx(
        2 * min(expected.p_above(0), expected.p_below(0))
    )


def test_the_smallest_difference_that_seeds_find_is_given():
    first, second = drawn(EASY, 4, 1), drawn(EASY, 6, 2)
    squares = 3 * np.var(first.accuracies, ddof=1) + 5 * np.var(second.accuracies, ddof=1)
    expected = smallest_difference(float(np.sqrt(squares / 8)), 4, 6, 0.025, 0.9)
    assert compare_recipes(first, second).smallest == pytest.approx(expected)


def test_one_seed_each_says_nothing_about_recipes():
    found = compare_recipes(answers([range(30)]), answers([()]))
    assert found.networks[0].found
    assert (found.seeds.p_value, found.everywhere.p_value) == (1.0, 1.0)


def test_a_recipe_is_no_better_than_itself():
    one = drawn(EASY, 3, 1)
    found = compare_recipes(one, one)
    assert found.votes == ()
    assert (found.seeds.p_value, found.everywhere.p_value) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("question", ["seeds", "everywhere"])
def test_equal_recipes_are_seldom_told_apart(question):
    rng = np.random.default_rng(0)
    alarms = 0
    for number in range(300):
        chances = rng.choice([0.55, 0.8, 0.99], 100)
        found = compare_recipes(drawn(chances, 4, 2 * number), drawn(chances, 4, 2 * number + 1))
        alarms += getattr(found, question).found
    assert 0.005 <= alarms / 300 <= 0.075


# What is comparable


def test_differing_conditions_are_listed():
    first = answers([(), ()], conditions={"protocol": "one-pass", "backend": "jax", "dtype": "f"})
    second = answers([(), ()], conditions={"protocol": "as-written", "backend": "jax"})
    found = compare_recipes(first, second).differing
    assert found == ("protocol: one-pass and as-written", "dtype: f and None")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_hash": "beef"}, "the pictures differ: pets c0ffee and pets beef"),
        ({"classes": ("dogs", "cats")}, r"the classes differ: \('cats', 'dogs'\) and \('dogs'"),
        ({"pictures": ("x",) * 100}, "101 are in one only, '000.jpg' for one"),
        ({"pictures": answers([()]).pictures[::-1]}, "pictures differ: another order"),
        ({"truth": 1 - TRUTH}, "the true classes of the held-out pictures differ"),
    ],
)
def test_other_questions_are_not_comparable(changes, message):
    first, second = answers([(), ()], "before"), answers([(), ()], "after", **changes)
    with pytest.raises(ValueError, match=rf"Not comparable: .*{message}") as raised:
        compare_recipes(first, second)
    assert str(raised.value).endswith("Received: first='before', second='after'")


def test_all_that_differs_is_named_at_once():
    other = answers([(), ()], data_hash="beef", classes=("a", "b"), pictures=("x",) * 100)
    with pytest.raises(ValueError, match=r"pictures differ.*classes differ.*names of the held-out"):
        compare_recipes(answers([(), ()]), other)
