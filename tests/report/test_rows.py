"""Rows of every table: figures against literal numbers, and what is read off a record."""

import math
import random

import factories
import pytest
from factories import check_result, data_set, measurement, peak, training_run

from cnnbench.records.records import Environment
from cnnbench.report.rows import tables_of, throughput_row


def test_rows_do_not_depend_on_the_order_in_which_jobs_finished():
    records = [training_run(variant=v, seed=s) for v in ("wide", "documented") for s in (0, 10, 2)]
    records += [
        measurement(workload=workload, device=device, batch_size=size, process=process)
        for workload in ("train", "inference")
        for device in ("gpu", "cpu")
        for size in (8, 128)
        for process in (0, 1)
    ]
    expected = tables_of(records)
    keys = [(row["variant"], row["seed"]) for row in expected["runs"]]
    assert keys == [(name, seed) for name in ("documented", "wide") for seed in (0, 2, 10)]
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert tables_of(records) == expected


def test_checks_stay_in_the_order_in_which_they_were_judged():
    names = ["weights_moved", "accuracy", "training_finished"]
    rows = tables_of([check_result(check=name) for name in names])["checks"]
    assert [row["check"] for row in rows] == names


def test_rows_say_which_commit_they_are_of_when_reports_are_joined():
    records = [Environment({"commit": "abc"}), training_run(), measurement()]
    tables = tables_of(records)
    assert [tables[name][0]["commit"] for name in ("runs", "throughput")] == ["abc", "abc"]
    assert tables_of([Environment({"commit": None}), training_run()])["runs"][0]["commit"] == ""


# Runs, epochs and predictions


def test_a_run_has_what_follows_from_it():
    run = training_run(unchanged_weights=("a", "b"))
    (row,) = tables_of([data_set(), run])["runs"]
    assert (row["data"], row["data_hash"], row["val_accuracy"]) == ("pets", "c0ffee", 0.75)
    assert (row["generalization_gap"], row["unchanged_weights"]) == (0.125, 2)
    assert (row["worst_dead_share"], row["validation_pictures"]) == (0.125, 4)
    alone = tables_of([training_run(dead_units={})])
    assert (alone["runs"][0]["data"], alone["runs"][0]["worst_dead_share"]) == ("", None)
    assert alone["predictions"] == []


def test_epochs_are_counted_from_one_and_lack_what_the_history_lacks():
    rows = tables_of([training_run(history={"loss": (0.6, 0.4)})])["epochs"]
    found = [(row["epoch"], row["loss"], row["val_loss"]) for row in rows]
    assert found == [(1, 0.6, None), (2, 0.4, None)]


def predictions(*answers, classes=("cats", "dogs")):
    """Returns class, its probability and that of the true class, which is the first."""
    data = data_set(
        classes=classes,
        validation_names=tuple(map(str, range(len(answers)))),
        validation_labels=(0,) * len(answers),
    )
    rows = tables_of([data, training_run(val_probabilities=answers)])["predictions"]
    names = ("predicted_class", "probability", "probability_of_true")
    return [tuple(row[name] for name in names) for row in rows]


def test_predictions_have_the_probability_of_the_answer_and_of_the_truth():
    found = predictions((0.25,), (0.75,), (0.5,))
    assert found == [("cats", 0.75, 0.75), ("dogs", 0.75, 0.25), ("cats", 0.5, 0.5)]
    found = predictions((0.25, 0.5, 0.25), classes=("cats", "dogs", "owls"))
    assert found == [("dogs", 0.5, 0.25)]
    ((name, probability, _),) = predictions((math.nan,))
    assert (name, math.isnan(probability)) == ("", True)


def test_predictions_name_pictures_and_their_classes_and_are_as_many():
    rows = tables_of([data_set(), training_run()])["predictions"]
    names = [(row["picture"], row["true_class"]) for row in rows]
    assert names[1:3] == [("val/cats/2.jpg", "cats"), ("val/dogs/1.jpg", "dogs")]
    with pytest.raises(ValueError, match="argument 3 is shorter"):
        tables_of([data_set(), training_run(val_probabilities=((0.5,),))])


# Throughput


def timed(**changes):
    return throughput_row(measurement(**changes))


def test_times_are_medians_over_rounds():
    # Rounds of 4 steps: 0.5, 1.0 and 9.0 s; the median step takes 0.25 s for 32 pictures.
    row = timed(steps_per_round=4, round_seconds=(9.0, 0.5, 1.0))
    assert (row["step_time_ms"], row["images_per_second"], row["rounds"]) == (250.0, 128.0, 3)
    row = timed(steps_per_round=1, round_seconds=(1.0, 2.0, 4.0, 8.0))
    assert row["step_time_ms"] == 3000.0
    # numpy.percentile([1, 2, 4, 8, 16], [25, 75]) is [2, 8].
    row = timed(steps_per_round=1, round_seconds=(16.0, 1.0, 8.0, 2.0, 4.0))
    assert row["step_time_iqr_ms"] == 6000.0
    assert timed(round_seconds=(1.0,))["step_time_iqr_ms"] == 0.0
    assert timed(copy_seconds=(0.5, 0.25, 1.0))["copy_ms"] == 500.0


@pytest.mark.parametrize(
    ("calls", "p90", "p99"), [(1, 1, 1), (2, 2, 2), (99, 90, 99), (100, 90, 99), (101, 91, 100)]
)
def test_percentiles_are_the_nearest_ranks(calls, p90, p99):
    # The nearest rank is ceil(0.99 n), counted from 1: a latency that really occurred.
    latencies = [float(second) for second in range(1, calls + 1)]
    random.Random(0).shuffle(latencies)
    row = timed(latency_seconds=tuple(latencies))
    assert (row["latency_p90_ms"], row["latency_p99_ms"]) == (p90 * 1e3, p99 * 1e3)
    assert row["latency_p50_ms"] == (calls + 1) / 2 * 1e3
    assert row["latency_calls"] == calls


def test_a_row_says_what_the_machine_and_the_program_said():
    # 192 pictures in 3 s at 64 W are 1 J per picture.
    row = timed(telemetry={"watts": 64.0, "throttled": "power", "clock_mhz_last": 3000.0})
    assert (row["watts"], row["joules_per_1000"], row["throttled"]) == (64.0, 1000.0, "power")
    assert (row["clock_mhz"], row["concerns"]) == (3000.0, "The device was throttled: power.")
    row = timed(
        agreement=factories.agreement(equal_share=0.999, accuracy_difference=-0.001),
        timing=factories.timing_proof(drain_seconds=0.002),
        placement=factories.placement(weight_dtypes=("float32", "int8"), compute_dtypes=("int8",)),
    )
    assert (row["equal_share"], row["accuracy_difference"]) == (0.999, -0.001)
    assert (row["queue_linearity"], row["drain_ms"]) == (pytest.approx(1.0), 2.0)
    placed = row["placed_on"], row["weight_dtype"], row["compute_dtype"]
    assert placed == ("cpu", "float32+int8", "int8")


def test_what_is_unknown_is_empty():
    row = timed(latency_seconds=())
    numbers = "latency_p50_ms latency_p90_ms latency_p99_ms equal_share queue_linearity drain_ms"
    numbers += " copy_ms watts joules_per_1000 clock_mhz percent_of_peak"
    assert {row[name] for name in numbers.split()} == {None}
    texts = "placed_on weight_dtype compute_dtype throttled concerns out_of_memory"
    assert {row[name] for name in texts.split()} == {""}
    assert (row["threads"], row["warmup_rounds"], row["peak_memory_mb"]) == (2, 1, 512.0)


def test_nothing_is_rounded():
    seconds = (0.1, 0.2, 0.1 + 0.2)
    row = timed(steps_per_round=3, round_seconds=seconds, batch_size=7)
    assert row["images_per_second"] == 7 * 3 / 0.2
    rounds = tables_of([measurement(round_seconds=seconds)])["rounds"]
    found = [(row["round"], row["steps"], row["seconds"]) for row in rounds]
    assert found == [(1, 2, 0.1), (2, 2, 0.2), (3, 2, 0.1 + 0.2)]


def test_a_batch_that_did_not_fit_has_a_row_without_figures():
    full = measurement(out_of_memory=True, round_seconds=(), latency_seconds=(), steps_per_round=0)
    row = throughput_row(full, peak())
    assert (row["out_of_memory"], row["rounds"]) == ("yes", 0)
    empty = ("images_per_second", "step_time_ms", "step_time_iqr_ms", "percent_of_peak")
    assert {row[name] for name in empty} == {None}
    assert tables_of([full])["rounds"] == []


# Peaks


def test_percent_of_peak_is_of_the_larger_limit_and_of_one_dtype():
    # 64 pictures per second of 1e9 operations each are 64 % of 1e11.
    for convolution, percent in ((5e10, 64.0), (2e11, 32.0), (None, 64.0)):
        limits = peak(convolution_flops_per_second=convolution)
        row = throughput_row(measurement(flops_per_picture=1e9), limits)
        assert row["percent_of_peak"] == pytest.approx(percent)
    nothing = peak(matmul_flops_per_second=None, convolution_flops_per_second=None)
    row = throughput_row(measurement(flops_per_picture=1e9), nothing)
    assert row["percent_of_peak"] is None
    mixed = factories.placement(compute_dtypes=("float32", "int8"))
    row = throughput_row(measurement(flops_per_picture=1e9, placement=mixed), peak())
    assert row["percent_of_peak"] is None


@pytest.mark.parametrize("other", ["backend", "device", "dtype", "threads"])
def test_a_peak_belongs_to_its_place(other):
    timed = measurement(flops_per_picture=1e9)
    elsewhere = peak(**{other: 4 if other == "threads" else "elsewhere"})
    (row,) = tables_of([elsewhere, timed])["throughput"]
    assert row["percent_of_peak"] is None
    (row,) = tables_of([elsewhere, timed, peak()])["throughput"]
    assert row["percent_of_peak"] == pytest.approx(64.0)


def test_a_peak_is_a_row_of_its_own():
    (row,) = tables_of([peak(convolution_flops_per_second=None)])["peaks"]
    assert (row["threads"], row["matmul_flops_per_second"]) == (2, 1e11)
    assert row["convolution_flops_per_second"] is None
