"""The rows of speed of a report."""

import math

import pytest
from factories import agreement, measurement
from speeds import OTHER

from cnnbench.comparing.speeds import speeds_of
from cnnbench.records.records import Environment
from cnnbench.report.frames import report_of


def rows_of(*records, variants=()):
    return speeds_of(report_of(records), "A", variants).rows


def test_processes_of_a_configuration_are_one_row():
    rounds = {n: (0.64, 1.28 * n, 6.4) for n in (1, 2, 3)}
    (row,) = rows_of(*(measurement(process=n, round_seconds=each) for n, each in rounds.items()))
    # 64 pictures per round
    assert row.processes == {n: [each / 64 for each in rounds[n]] for n in rounds}
    assert math.exp(row.log_seconds[2]) == pytest.approx(0.04)
    assert str(row) == "documented inference tensorflow cpu float32 batch 32"
    assert row.fingerprint == "f00d"


def test_seeds_of_one_process_are_one_process():
    first, second = (measurement(seed=n, round_seconds=(0.64 * n,) * (n + 1)) for n in (1, 2))
    (row,) = rows_of(first, second)
    assert list(map(len, row.processes.values())) == [5]
    assert row.per_second == pytest.approx(50)  # of the median round


@pytest.mark.parametrize(("column", "value"), OTHER.items())
def test_another_configuration_is_another_row(column, value):
    assert len(rows_of(measurement(), measurement(**{column: value}))) == 2


def test_out_of_memory_is_a_row_without_time():
    (row,) = rows_of(measurement(out_of_memory=True, round_seconds=()))
    assert (row.processes, row.problems) == ({}, ("out of memory",))
    assert math.isnan(row.per_second)


@pytest.mark.parametrize(
    ("share", "dtype", "problems"),
    [
        (0.9991, "float32", ()),
        (0.9989, "float32", ("wrong answers",)),
        (0.98, "int8", ()),
        (0.94, "int8", ("wrong answers",)),
        (0.5, "float8", ()),  # a dtype that this version does not know
        (math.nan, "float32", ()),
    ],
)
def test_answers_are_wrong_below_a_share(share, dtype, problems):
    found = measurement(process=1, dtype=dtype, agreement=agreement(equal_share=share))
    assert rows_of(measurement(dtype=dtype), found)[0].problems == problems


def test_conditions_of_all_processes_are_listed():
    (row,) = rows_of(*(measurement(process=n, threads=n + 1, tf32="off") for n in (0, 1)))
    assert (row.conditions["threads"], row.conditions["tf32"]) == ("1, 2", "off")


def test_conditions_of_a_report_are_flat():
    environment = {
        "machine": {"cpu": "Zählwerk"},
        "gpus": ["one", "two"],
        "packages": {"jax": "0.10"},
        "flags": {"XLA_FLAGS": "-x"},
        "options": {"protocol": "one-pass", "image_size": None},
        "data": {"name": "pets", "content_hash": "c0ffee" * 9},
    }
    found = speeds_of(report_of([Environment(environment)]), "A").conditions
    assert {name: value for name, value in found.items() if value} == {
        "machine cpu": "Zählwerk",
        "gpus": "one, two",
        "packages jax": "0.10",
        "flags XLA_FLAGS": "-x",
        "option protocol": "one-pass",
        "data": "pets c0ffeec0ffee",
    }
    assert found.keys() > {"python", "option image_size"}


def test_only_the_variants_asked_for_have_rows():
    rows = rows_of(measurement(), measurement(variant="wide"), variants=["wide"])
    assert [row.variant for row in rows] == ["wide"]
    assert rows_of() == ()
