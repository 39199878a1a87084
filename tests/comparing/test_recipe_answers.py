"""What the networks of a report answered."""

from dataclasses import replace

import pytest
from factories import data_set, training_run

from cnnbench.comparing.recipe_answers import answers_of_report, variants_of
from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of

RECORDS = (
    Environment({"data": {"classes": ["cats", "dogs"]}}),
    data_set(),
    training_run(seed=2, val_probabilities=((0.75,), (0.25,), (0.75,), (0.25,))),
    training_run(seed=1),
    training_run(variant="dropout"),
)


def test_variants_are_those_with_answers():
    assert variants_of(report_of(RECORDS)) == ("documented", "dropout")
    assert variants_of(report_of([])) == ()


def test_answers_are_arrays():
    found = answers_of_report(report_of(RECORDS), "documented", "mine")
    assert (found.label, found.data, found.data_hash) == ("mine", "pets", "c0ffee")
    assert found.pictures == data_set().validation_names
    assert found.classes == ("cats", "dogs")
    assert found.truth.tolist() == [0, 0, 1, 1]
    assert found.seeds == (1, 2)
    assert found.given.tolist() == [[0, 1, 1, 1], [1, 0, 1, 0]]
    assert found.accuracies == (0.75, 0.5)


def test_the_order_of_classes_is_that_of_the_environment():
    records = Environment({"data": {"classes": ["dogs", "cats"]}}), *RECORDS[1:]
    assert answers_of_report(report_of(records), "documented", "x").truth.tolist() == [1, 1, 0, 0]


def test_without_an_environment_classes_are_sorted():
    assert answers_of_report(report_of(RECORDS[1:]), "documented", "x").classes == ("cats", "dogs")


def test_conditions_are_those_of_all_runs():
    records = *RECORDS, training_run(seed=3, threads=2)
    found = answers_of_report(report_of(records), "documented", "x").conditions
    assert found["protocol"] == "one-pass"
    assert found["threads"] == "1, 2"
    assert {"fingerprint", "backend", "device", "dtype", "batch_size", "epochs"} <= set(found)


def test_an_unknown_variant_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"those of documented, dropout. Received: variant='x'"):
        answers_of_report(report_of(RECORDS), "x", "mine")


def test_a_report_without_answers_says_so():
    with pytest.raises(ValueError, match="those of none"):
        answers_of_report(report_of([]), "documented", "mine")


def test_two_runs_of_a_seed_are_refused():
    records = *RECORDS, training_run(seed=1, backend="jax")
    with pytest.raises(ValueError, match=r"one run a seed.*report='mine', seeds=\[1, 1, 2\]"):
        answers_of_report(report_of(records), "documented", "mine")


def test_two_runs_of_every_seed_are_refused():
    records = *RECORDS, training_run(variant="dropout", backend="jax")
    with pytest.raises(ValueError, match=r"one run a seed.*seeds=\[0, 0\]"):
        answers_of_report(report_of(records), "dropout", "mine")


def test_a_seed_that_lacks_an_answer_is_refused():
    report = report_of(RECORDS)
    lacking = replace(report, predictions=report.predictions.drop(index=5))
    with pytest.raises(ValueError, match="each with one answer to the same pictures"):
        answers_of_report(lacking, "documented", "mine")


def test_runs_on_several_data_sets_are_refused():
    records = *RECORDS, training_run(seed=3, data_hash="beef")
    with pytest.raises(ValueError, match=r"same pictures.*data_hash=\['beef', 'c0ffee'\]"):
        answers_of_report(report_of(records), "documented", "mine")
