"""What the networks of a report answered."""

from dataclasses import replace

import numpy as np
import pytest
from factories import data_set, training_run

from cnnbench.comparing.recipes import NONE, Recipe, recipe_of, variants_of
from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of

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
