"""The rows of speed of a report."""

import math

import pytest
from factories import agreement, measurement

from cnnbench.comparing.speeds import are_wrong, process_of, speeds_of
from cnnbench.records.records import Environment
from cnnbench.report.frames import report_of


def rows_of(*records):
    return speeds_of(report_of(records), "A").rows


def test_a_process_is_its_median_round():
    process = process_of(3, [1.0, 4.0, 2.0])
    assert (process.number, process.rounds) == (3, 3)
    assert process.log_seconds == pytest.approx(math.log(2))
    assert process.round_sd == pytest.approx(math.log(2))
    assert math.isnan(process_of(0, [1.0]).round_sd)


def test_processes_of_a_configuration_are_one_row():
    (row,) = rows_of(
        *(measurement(process=n, round_seconds=(0.64, 1.28 * n, 6.4)) for n in (1, 2, 3))
    )
    assert [each.number for each in row.processes] == [1, 2, 3]
    assert [each.rounds for each in row.processes] == [3, 3, 3]
    assert math.exp(row.processes[1].log_seconds) == pytest.approx(0.04)  # 64 pictures per round
    assert str(row) == "documented inference tensorflow cpu float32 batch 32"
    assert row.fingerprint == "f00d"


def test_speed_is_that_of_the_table():
    report = report_of([measurement(round_seconds=(0.31, 0.32, 0.40))])
    (row,) = speeds_of(report, "A").rows
    assert row.per_second == pytest.approx(report.throughput["images_per_second"][0])


def test_seeds_of_one_process_are_one_process():
    (row,) = rows_of(
        measurement(round_seconds=(0.64,) * 2), measurement(seed=1, round_seconds=(1.28,) * 3)
    )
    (process,) = row.processes
    assert process.rounds == 5
    assert math.exp(process.log_seconds) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": "wide"},
        {"workload": "train"},
        {"backend": "jax"},
        {"device": "gpu:1"},
        {"dtype": "int8"},
        {"batch_size": 64},
    ],
)
def test_another_configuration_is_another_row(changes):
    assert len(rows_of(measurement(), measurement(**changes))) == 2


def test_out_of_memory_is_a_row_without_time():
    full = measurement(out_of_memory=True, round_seconds=(), latency_seconds=())
    (row,) = rows_of(full)
    assert (row.processes, row.problems) == ((), ("out of memory",))
    assert math.isnan(row.per_second)


@pytest.mark.parametrize(("share", "problems"), [(0.99, ("wrong answers",)), (1.0, ())])
def test_wrong_answers_are_a_problem(share, problems):
    wrong = measurement(process=1, agreement=agreement(equal_share=share))
    assert rows_of(measurement(agreement=agreement()), wrong)[0].problems == problems


@pytest.mark.parametrize(
    ("share", "dtype", "wrong"),
    [
        (0.9991, "float32", False),
        (0.9989, "float32", True),
        (0.98, "int8", False),
        (0.94, "int8", True),
        (0.5, "float8", False),
        (math.nan, "float32", False),
    ],
)
def test_answers_are_wrong_below_a_share(share, dtype, wrong):
    assert are_wrong(share, dtype) == wrong


def test_conditions_of_all_processes_are_listed():
    (row,) = rows_of(*(measurement(process=n, threads=n + 1, tf32="off") for n in (0, 1)))
    assert (row.conditions["threads"], row.conditions["tf32"]) == ("1, 2", "off")


def test_conditions_of_a_report_are_flat():
    environment = {
        "machine": {"cpu": "Zählwerk"},
        "gpus": ["one", "two"],
        "python": "3.11",
        "packages": {"jax": "0.10"},
        "flags": {"XLA_FLAGS": "-x"},
        "options": {"protocol": "one-pass", "image_size": None},
        "data": {"name": "pets", "content_hash": "c0ffee" * 9},
    }
    assert speeds_of(report_of([Environment(environment)]), "A").conditions == {
        "machine cpu": "Zählwerk",
        "gpus": "one, two",
        "python": "3.11",
        "packages jax": "0.10",
        "flags XLA_FLAGS": "-x",
        "option protocol": "one-pass",
        "option image_size": "",
        "data": "pets c0ffeec0ffee",
    }


def test_only_the_variants_asked_for_have_rows():
    report = report_of([measurement(), measurement(variant="wide")])
    assert [row.variant for row in speeds_of(report, "A", ["wide"]).rows] == ["wide"]
    assert rows_of() == ()
