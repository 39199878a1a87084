"""The rows of speed of a report: folders and packs."""

import math

import pytest
from factories import measurement
from speeds import speed_report

from cnnbench.comparing.read_reports import read_speeds, speeds_of_report
from cnnbench.report.frames import report_of, write_report


def only(*rows, **environment):
    (found,) = speeds_of_report(speed_report(*rows, environment=environment), "A").speeds
    return found


def test_processes_of_a_key_are_one_row():
    row = only(*({"process": n, "steps": (0.32, 0.64 * n, 3.2)} for n in (1, 2, 3)))
    assert [each.number for each in row.processes] == [1, 2, 3]
    assert [each.rounds for each in row.processes] == [3, 3, 3]
    assert math.exp(row.processes[1].log_seconds) == pytest.approx(0.04)  # a picture
    assert (row.variant, row.workload, row.batch_size) == ("documented", "inference", 32)
    assert row.fingerprint == "f00d"


def test_speed_is_that_of_the_table():
    report = speed_report({"steps": (0.31, 0.32, 0.40)})
    (row,) = speeds_of_report(report, "A").speeds
    assert row.per_second == pytest.approx(report.throughput["images_per_second"][0])


def test_seeds_of_one_process_are_one_process():
    row = only({"seed": 0, "steps": (0.32, 0.32)}, {"seed": 1, "steps": (0.64, 0.64, 0.64)})
    (process,) = row.processes
    assert process.rounds == 5
    assert math.exp(process.log_seconds) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "changes",
    [
        *({"variant": "wide"}, {"workload": "train"}, {"backend": "jax"}, {"device": "gpu:1"}),
        *({"dtype": "int8"}, {"batch_size": 64}, {"fingerprint": "beef"}),
    ],
)
def test_other_keys_are_other_rows(changes):
    report = speed_report({"steps": (0.1,)}, {"steps": (0.1,), **changes})
    assert len(speeds_of_report(report, "A").speeds) == 2


def test_out_of_memory_is_a_row_without_time():
    row = only({"steps": (), "out_of_memory": "yes"})
    assert (row.processes, row.problems) == ((), ("out of memory",))


def test_wrong_answers_are_a_problem():
    assert only({"steps": (0.1,), "equal_share": 0.99}).problems == ("wrong answers",)
    assert only({"steps": (0.1,), "equal_share": 1.0}).problems == ()


def test_conditions_of_all_processes_are_told():
    rows = [{"process": n, "steps": (0.1,), "threads": n + 1, "tf32": "off"} for n in (0, 1)]
    conditions = only(*rows).conditions
    assert (conditions["threads"], conditions["tf32"]) == ("1, 2", "off")


def test_conditions_of_a_report_are_flat():
    report = speed_report(
        {"steps": (0.1,)},
        environment={
            "machine": {"cpu": "Zählwerk"},
            "gpus": ["one", "two"],
            "packages": {"jax": "0.10"},
            "flags": {"XLA_FLAGS": "-x"},
            "options": {"protocol": "one-pass"},
            "data": {"name": "pets", "content_hash": "c0ffee" * 9},
        },
    )
    found = speeds_of_report(report, "A").conditions
    assert found["machine cpu"] == "Zählwerk"
    assert (found["gpus"], found["package jax"], found["flag XLA_FLAGS"]) == (
        *("one, two", "0.10", "-x"),
    )
    assert (found["option protocol"], found["data"]) == ("one-pass", "pets c0ffeec0ffee")


def test_a_report_without_throughput_has_no_rows():
    assert speeds_of_report(report_of([]), "A").speeds == ()


def test_a_folder_is_read_and_gives_its_name(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_report(report_of([measurement()]), folder)
    found = read_speeds(folder)
    assert found.label == "mine"
    assert found.speeds[0].per_second == pytest.approx(64)
    assert found.speeds[0].processes[0].rounds == 3
