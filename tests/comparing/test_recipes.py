"""Two recipes: what their networks answered, and three questions about them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from factories import data_set, training_run
from scipy import stats

from cnnbench.comparing.recipes import Recipe, RecipeComparison, p_value, recipe_of
from cnnbench.report.frames import report_of
from cnnbench.stats.intervals import difference_of, picture_error, widened
from cnnbench.stats.power import smallest_difference

RECORDS = (
    data_set(),
    training_run(seed=2, val_probabilities=((0.75,), (0.25,), (0.75,), (0.25,))),
    training_run(seed=1),
    training_run(variant="dropout"),
)


def found(*records, variant="documented"):
    return recipe_of(report_of(records), variant, "mine")


def test_answers_are_tables():
    recipe = found(*RECORDS)
    assert (recipe.label, recipe.data, recipe.data_hash) == ("mine", "pets", "c0ffee")
    names = data_set().validation_names
    assert recipe.truth.to_dict() == dict(zip(names, ["cats"] * 2 + ["dogs"] * 2, strict=True))
    assert recipe.seeds == [1, 2]
    assert recipe.given[1].tolist() == ["cats", "dogs", "dogs", "dogs"]
    assert recipe.given[2].tolist() == ["dogs", "cats", "dogs", "cats"]
    assert recipe.accuracies == (0.75, 0.5)


def test_conditions_are_those_of_all_runs():
    conditions = found(*RECORDS, training_run(seed=3, threads=2)).conditions
    assert (conditions["protocol"], conditions["threads"]) == ("one-pass", "1, 2")
    assert {"fingerprint", "backend", "device", "dtype", "batch_size", "epochs"} <= set(conditions)
    assert "data_hash" not in conditions


@pytest.mark.parametrize(
    ("records", "variant", "message"),
    [
        (RECORDS, "x", r"those of documented, dropout. Received: variant='x', report='mine'"),
        ((), "documented", "those of none"),
        ((*RECORDS, training_run(seed=1, backend="jax")), "documented", r"seeds=\[1, 1, 2\]"),
    ],
)
def test_answers_that_are_no_recipe_s_are_refused(records, variant, message):
    with pytest.raises(ValueError, match=message):
        found(*records, variant=variant)


def test_a_seed_that_lacks_an_answer_is_refused():
    report = report_of(RECORDS)
    lacking = replace(report, predictions=report.predictions.drop(index=5))
    with pytest.raises(ValueError, match="one run per seed, each with one answer to the same"):
        recipe_of(lacking, "documented", "mine")


# Recipes

NAMES = [f"{number:03}.jpg" for number in range(100)]
TRUTH = pd.Series(["cats"] * 50 + ["dogs"] * 50, NAMES)
WRONG = TRUTH.map({"cats": "dogs", "dogs": "cats"})
EASY = np.linspace(0.5, 1.0, 100)


def answers(wrong, label="A", **changes):
    """Returns answers of networks of which number `i` is wrong on the pictures `wrong[i]`."""
    is_wrong = np.array([np.isin(np.arange(100), list(own)) for own in wrong])
    given = pd.DataFrame(np.where(is_wrong, WRONG, TRUTH).T, NAMES)
    conditions = {"protocol": "one-pass"}
    return replace(Recipe(label, "pets", "c0ffee", TRUTH, given, conditions), **changes)


def drawn(chances, seeds, number):
    """Returns answers right by chance."""
    right = np.random.default_rng(number).random((seeds, 100)) < chances
    return answers([np.flatnonzero(~row) for row in right], f"drawn {number}")


def with_seeds(recipe, *seeds):
    return replace(recipe, given=recipe.given.set_axis(list(seeds), axis=1))


def test_networks_of_common_seeds_share_one_error_rate():
    first = answers([range(10), range(6), (1,), ()])
    second = with_seeds(answers([(), (), (), range(9)]), 0, 1, 2, 9)
    networks = RecipeComparison(first, second).networks
    assert list(networks) == [0, 1, 2]
    tests, adjusted = zip(*networks.values(), strict=True)
    assert [(test.only_first, test.only_second) for test in tests] == [(0, 10), (0, 6), (0, 1)]
    assert adjusted == pytest.approx((3 * 2 / 2**10, 2 * 2 / 2**6, 1.0))


def test_pictures_that_most_networks_of_one_recipe_get_right_are_named():
    first, second = answers([(0, 7, 5), (0, 8, 5), (0,), ()]), answers([(99,), (99,), (99,), ()])
    found = RecipeComparison(first, second)
    # One half is not most.
    assert found.votes.to_dict() == {"000.jpg": "B", "005.jpg": "B", "099.jpg": "A"}


def test_recipes_are_compared_by_students_t_with_two_sides():
    first, second = drawn(EASY, 4, 1), drawn(EASY**0.5, 6, 2)
    expected = stats.ttest_ind(second.accuracies, first.accuracies)
    for found in (RecipeComparison(first, second), RecipeComparison(second, first)):
        assert p_value(found.seeds) == pytest.approx(expected.pvalue)
    difference = np.mean(first.accuracies) - np.mean(second.accuracies)
    assert found.seeds.value == pytest.approx(difference)
    squares = 3 * np.var(first.accuracies, ddof=1) + 5 * np.var(second.accuracies, ddof=1)
    expected = smallest_difference(float(np.sqrt(squares / 8)), 4, 6, 0.025, 0.9)
    assert found.smallest == pytest.approx(expected)


def test_new_pictures_add_their_error():
    first, second = drawn(EASY, 4, 1), drawn(EASY[::-1], 4, 2)
    found = RecipeComparison(first, second)
    seeds = difference_of(second.accuracies, first.accuracies)
    assert found.everywhere == widened(seeds, *picture_error(second.correct, first.correct))
    assert found.everywhere.error > 1.2 * found.seeds.error


def test_nothing_is_said_about_recipes_by_one_seed_or_by_the_same_recipe():
    for one, other in ((answers([range(30)]), answers([()])), (drawn(EASY, 3, 1),) * 2):
        found = RecipeComparison(one, other)
        assert (p_value(found.seeds), p_value(found.everywhere)) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_hash": "beef"}, "the pictures differ: pets c0ffee and pets beef"),
        ({"truth": TRUTH[1:]}, "1 held-out pictures are in one only, '000.jpg' for one"),
        ({"truth": TRUTH[::-1].set_axis(NAMES)}, "the true classes of the held-out pictures"),
    ],
)
def test_other_questions_are_not_comparable(changes, message):
    first, second = answers([(), ()], "before"), answers([(), ()], "after", **changes)
    with pytest.raises(ValueError, match=f"{message}.*first='before', second='after'"):
        RecipeComparison(first, second)
