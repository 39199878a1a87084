import math
import random
import re
from pathlib import Path

import pandas as pd
import pytest
from factories import (
    agreement,
    check_result,
    data_set,
    measurement,
    peak,
    placement,
    sanity_run,
    timing_proof,
    training_run,
)

from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.records.runs import Environment
from cnnbench.report.frames import Report, load_report, report_of, write_report
from cnnbench.report.tables import SCHEMA

EXAMPLES = sorted((Path(__file__).parents[2] / "reports/examples").iterdir())
AWKWARD = (0.1 + 0.2, 1 / 3, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, math.nan, math.inf)
RECORDS = (
    Environment({"commit": "abc", "machine": {"cpu": "Zählwerk"}, "gpus": []}),
    data_set(),
    training_run(),
    training_run(seed=1),
    sanity_run(),
    measurement(),
    measurement(workload="train", latency_seconds=()),
    measurement(
        process=1,
        agreement=agreement(),
        timing=timing_proof(),
        placement=placement(),
        copy_seconds=(0.001,),
        flops_per_picture=1e9,
        tf32="off",
    ),
    measurement(batch_size=64, out_of_memory=True, round_seconds=(), latency_seconds=()),
    peak(),
    check_result(),
    check_result(check="training_finished", seed=1, batch_size=None),
)


def read_back(folder, *records) -> tuple[Report, Report]:
    """Return a report as it was written and as it was read."""
    report = report_of(records)
    write_report(report, folder)
    return report, load_report(folder)


def assert_same(one: Report, other: Report) -> None:
    assert one.environment == other.environment
    for name, frame in one.tables().items():
        pd.testing.assert_frame_equal(frame, other.tables()[name], check_exact=True)
        # assert_frame_equal takes -0.0 for 0.0
        assert repr(frame.to_dict("list")) == repr(other.tables()[name].to_dict("list"))


# Frames


@pytest.mark.parametrize("table", SCHEMA)
def test_frames_have_the_schema(table):
    frame = report_of(RECORDS).tables()[table]
    assert list(frame.columns) == list(SCHEMA[table])
    assert frame.dtypes.to_dict() == {
        name: pd.Series([], dtype=dtype).dtype for name, dtype in SCHEMA[table].items()
    }


@pytest.mark.parametrize("table", SCHEMA)
def test_empty_frames_have_the_schema_too(table):
    empty, full = report_of([]).tables()[table], report_of(RECORDS).tables()[table]
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


def test_the_environment_is_the_identity_of_the_run():
    assert report_of(RECORDS).environment["commit"] == "abc"
    assert report_of([]).environment == {}


def test_frames_do_not_depend_on_the_order_of_records():
    records = [*RECORDS[:7], training_run(variant="wide"), measurement(variant="wide")]
    expected = report_of(records)
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert_same(report_of(records), expected)


# Written and read back


def test_a_report_is_read_as_it_was_written(tmp_path):
    assert_same(*read_back(tmp_path, *RECORDS))


def test_an_empty_report_is_read_as_it_was_written(tmp_path):
    assert_same(*read_back(tmp_path))


@pytest.mark.parametrize("value", AWKWARD)
def test_every_bit_of_a_float_is_read_back(tmp_path, value):
    run = training_run(
        val_loss=value,
        history={"loss": (value, 1.0), "val_loss": (0.5, -value)},
        val_probabilities=((value, 0.5),) * 4,
    )
    timed = measurement(first_step_seconds=value, peak_memory_mb=-value)
    check = check_result(observed=value, threshold=-value)
    assert_same(*read_back(tmp_path, data_set(), run, timed, check))


def test_thousands_of_random_floats_are_read_back(tmp_path):
    rng = random.Random(0)
    values = tuple(rng.random() * 10.0 ** rng.randrange(-20, 20) for _ in range(5000))
    assert_same(*read_back(tmp_path, measurement(round_seconds=values)))


@pytest.mark.parametrize(
    "name",
    [
        *("NA", "nan", "None", "null", "", " ", " a ", "007", "1e3", "True", "-0"),
        *(
            "a,b",
            'a"b',
            '"',
            "a\nb",
            "a\r\nb",
            "a\tb",
            "Häßlich",
            "猫🐈",
            "#a",
            "\\",
            "'",
            "\udce4",
        ),
    ],
)
def test_every_name_is_read_back(tmp_path, name):
    data = data_set(
        name=name,
        classes=(name, "dogs"),
        validation_names=(name, f"{name}/{name}", "x", "y"),
    )
    check = check_result(variant=name, detail=name)
    written, read = read_back(tmp_path, data, training_run(variant=name), check)
    assert_same(written, read)
    assert set(read.predictions["true_class"]) == {name, "dogs"}


def test_a_column_of_text_that_looks_like_numbers_stays_text(tmp_path):
    _, read = read_back(tmp_path, data_set(classes=("1", "2")), training_run())
    assert read.predictions["true_class"].tolist() == ["1", "1", "2", "2"]


def test_a_missing_seed_is_missing_and_no_number(tmp_path):
    _, read = read_back(tmp_path, check_result(seed=None), check_result(seed=3))
    assert read.checks["seed"].tolist() == [pd.NA, 3]
    assert read.checks["seed"].dtype == "Int64"


def test_missing_latencies_are_nan(tmp_path):
    _, read = read_back(tmp_path, measurement(workload="train", latency_seconds=()))
    assert math.isnan(read.throughput["latency_p99_ms"][0])


def test_the_tables_are_plain_csv(tmp_path):
    read_back(tmp_path, *RECORDS)
    lines = (tmp_path / "epochs.csv").read_bytes().split(b"\n")
    assert lines[0].decode() == ",".join(SCHEMA["epochs"])
    assert lines[1] == b"documented,0,tensorflow,cpu,float32,32,1,0.6,0.625,0.65,0.5,"


def test_tables_alone_are_a_report(tmp_path):
    written, _ = read_back(tmp_path, *RECORDS)
    (tmp_path / "environment.json").unlink()
    read = load_report(tmp_path)
    assert read.environment == {}
    pd.testing.assert_frame_equal(read.runs, written.runs, check_exact=True)


def test_a_report_may_be_named_by_text(tmp_path):
    written, _ = read_back(tmp_path, *RECORDS)
    assert_same(load_report(str(tmp_path)), written)


# A killed run


@pytest.fixture
def killed(tmp_path):
    """A folder with a journal and no tables."""
    folder = tmp_path / "killed"
    folder.mkdir()
    journal = Journal(folder / JOURNAL_NAME)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return folder


def test_a_killed_run_gives_the_tables_of_one_that_ended(tmp_path, killed):
    assert_same(load_report(killed), read_back(tmp_path, *RECORDS)[1])


def test_a_run_killed_while_it_wrote_tables_is_read_from_its_journal(killed):
    write_report(report_of([]), killed)
    (killed / "predictions.csv").unlink()
    assert_same(load_report(killed), report_of(RECORDS))


def test_a_run_killed_while_it_wrote_its_journal_loses_the_torn_record(killed):
    path = killed / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:-10])
    assert_same(load_report(killed), report_of(RECORDS[:-1]))


def test_a_damaged_journal_is_named(killed):
    path = killed / JOURNAL_NAME
    path.write_bytes(b"broken\n" + path.read_bytes())
    with pytest.raises(ValueError, match=f"Damaged journal {re.escape(str(path))}, line 1"):
        load_report(killed)


# What is no report


def test_an_absent_folder_is_named(tmp_path):
    path = tmp_path / "none"
    message = re.escape(f"No such report folder. Received: path='{path}'")
    with pytest.raises(FileNotFoundError, match=message):
        load_report(path)


def test_a_file_is_no_report(tmp_path):
    path = tmp_path / "runs.csv"
    path.touch()
    with pytest.raises(FileNotFoundError, match="No such report folder"):
        load_report(path)


def test_an_empty_folder_is_no_report(tmp_path):
    tables = ", ".join(f"{name}.csv" for name in SCHEMA)
    message = re.escape(
        f"No report in this folder. Expected {JOURNAL_NAME} or the tables {tables}. "
        f"Received: path='{tmp_path}'"
    )
    with pytest.raises(FileNotFoundError, match=message):
        load_report(tmp_path)


@pytest.mark.parametrize("table", [name for name in SCHEMA if name != "peaks"])
def test_missing_columns_are_named(tmp_path, table):
    read_back(tmp_path, *RECORDS)
    path = tmp_path / f"{table}.csv"
    path.write_text(path.read_text().replace("seed", "sowing", 1).replace("dtype", "kind", 1))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} lacks the columns seed, dtype"):
        load_report(tmp_path)


def test_an_empty_table_lacks_its_columns(tmp_path):
    read_back(tmp_path, *RECORDS)
    (tmp_path / "runs.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"runs\.csv lacks the columns variant, seed, "):
        load_report(tmp_path)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_kept_examples_are_read(folder):
    assert not load_report(folder).throughput.empty


def test_what_a_notebook_shows_of_a_report_is_short():
    report = report_of([training_run(variant="wide", val_accuracy=0.75)])
    assert repr(report).startswith("Report(rows: runs=1, ")
    assert "<td>0.750</td>" in report._repr_html_()
