import random

import pytest
from factories import (
    check_result,
    data_set,
    measurement,
    peak,
    sanity_run,
    training_run,
)

from cnnbench.records.runs import Environment
from cnnbench.report.rows import KEY
from cnnbench.report.tables import SCHEMA, derive

EVERYTHING = (
    Environment({}),
    data_set(),
    training_run(),
    sanity_run(),
    measurement(),
    measurement(workload="train", latency_seconds=()),
    peak(),
    check_result(),
)


def predictions(*answers, **changes):
    count = len(answers)
    data = data_set(
        **{
            "validation_names": tuple(f"{i}.jpg" for i in range(count)),
            "validation_labels": (0,) * count,
            **changes,
        }
    )
    return derive([data, training_run(val_probabilities=answers)])["predictions"]


# Schema


@pytest.mark.parametrize("table", SCHEMA)
def test_key_columns_are_the_same_everywhere(table):
    columns = {name: dtype for name, dtype in SCHEMA[table].items() if name in KEY}
    expected = KEY if table != "peaks" else {k: KEY[k] for k in ("backend", "device", "dtype")}
    assert list(columns.items()) == list(expected.items())


@pytest.mark.parametrize("table", SCHEMA)
def test_rows_have_the_columns_of_the_schema(table):
    rows = derive(EVERYTHING)[table]
    assert rows
    assert all(list(row) == list(SCHEMA[table]) for row in rows)


def test_no_records_are_empty_tables():
    assert derive([]) == {name: [] for name in SCHEMA}


def test_records_may_come_from_a_generator():
    assert derive(iter(EVERYTHING)) == derive(EVERYTHING)


def test_rows_do_not_depend_on_the_order_in_which_jobs_finished():
    records = [
        data_set(),
        *(training_run(variant=v, seed=s) for v in ("wide", "documented") for s in (0, 1, 10, 2)),
        *(
            measurement(variant=v, workload=w, device=d, batch_size=b, process=p)
            for v in ("wide", "documented")
            for w in ("train", "inference")
            for d in ("gpu", "cpu")
            for b in (8, 128)
            for p in (0, 1)
        ),
    ]
    expected = derive(records)
    for seed in range(20):
        random.Random(seed).shuffle(records)
        assert derive(records) == expected


def test_rows_are_in_order_of_their_keys():
    runs = [training_run(variant=v, seed=s) for v in ("wide", "documented") for s in (10, 2)]
    rows = derive(runs)["runs"]
    assert [(row["variant"], row["seed"]) for row in rows] == [
        ("documented", 2),
        ("documented", 10),
        ("wide", 2),
        ("wide", 10),
    ]


def test_checks_stay_in_the_order_in_which_they_were_judged():
    checks = [
        check_result(check=name) for name in ("weights_moved", "accuracy", "training_finished")
    ]
    rows = derive(checks)["checks"]
    assert [row["check"] for row in rows] == ["weights_moved", "accuracy", "training_finished"]


# Runs and epochs


def test_a_run_has_its_gap_its_data_and_a_count_of_weights():
    run = training_run(unchanged_weights=("a", "b"))
    (row,) = derive([data_set(), run])["runs"]
    assert (row["generalization_gap"], row["data"], row["unchanged_weights"]) == (0.125, "pets", 2)


def test_a_run_without_a_data_set_has_no_name_of_it():
    (row,) = derive([training_run()])["runs"]
    assert (row["data"], row["data_hash"]) == ("", "c0ffee")


def test_epochs_are_counted_from_one():
    rows = derive([training_run()])["epochs"]
    assert [(row["epoch"], row["loss"], row["val_loss"]) for row in rows] == [
        (1, 0.6, 0.65),
        (2, 0.4, 0.5),
    ]


def test_what_keras_did_not_tell_is_missing():
    (row,) = derive([training_run(epochs=1, history={"loss": (0.5,)})])["epochs"]
    missing = ("accuracy", "val_loss", "val_accuracy", "monitor_loss")
    assert {row[name] for name in missing} == {None}


# Predictions


def test_a_sigmoid_tells_the_probability_of_the_second_class():
    rows = predictions((0.25,), (0.75,))
    found = [
        (row["predicted_class"], row["probability"], row["probability_of_true"]) for row in rows
    ]
    assert found == [("cats", 0.75, 0.75), ("dogs", 0.75, 0.25)]


def test_a_softmax_tells_the_probability_of_each_class():
    rows = predictions((0.25, 0.5, 0.25), classes=("cats", "dogs", "owls"))
    assert [(r["predicted_class"], r["probability"], r["probability_of_true"]) for r in rows] == [
        ("dogs", 0.5, 0.25)
    ]


def test_an_undecided_sigmoid_answers_the_first_class():
    assert predictions((0.5,))[0]["predicted_class"] == "cats"


def test_predictions_name_pictures_and_their_classes():
    rows = derive([data_set(), training_run()])["predictions"]
    assert [(row["picture"], row["true_class"]) for row in rows] == [
        ("val/cats/1.jpg", "cats"),
        ("val/cats/2.jpg", "cats"),
        ("val/dogs/1.jpg", "dogs"),
        ("val/dogs/2.jpg", "dogs"),
    ]


def test_without_a_data_set_there_are_no_predictions():
    assert derive([training_run()])["predictions"] == []


def test_answers_for_other_pictures_are_an_error():
    with pytest.raises(ValueError, match="argument 3 is shorter"):
        derive([data_set(), training_run(val_probabilities=((0.5,),))])
