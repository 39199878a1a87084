"""Reports as DataFrames, written and read back bit by bit."""

import math
import random
import re
from pathlib import Path

import factories
import pandas as pd
import pytest
from factories import check_result, data_set, measurement, training_run

from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.records.records import Environment
from cnnbench.report.frames import load_report, report_of, write_report
from cnnbench.report.tables import SCHEMA

EXAMPLES = sorted((Path(__file__).parents[2] / "reports/examples").iterdir())
AWKWARD = (0.1 + 0.2, 1 / 3, 1e-308, 5e-324, 1.7976931348623157e308, -0.0, math.nan, math.inf)
LIKE_NUMBERS = ("NA", "nan", "None", "null", "", "007", "1e3", "True", "-0")
ODD = (" a ", "a,b", 'a"b', '"', "a\nb", "a\r\nb", "Häßlich", "猫🐈", "#a", "\\", "'", "\udce4")
RECORDS = (
    Environment({"commit": "abc", "machine": {"cpu": "Zählwerk"}, "gpus": []}),
    data_set(),
    training_run(),
    factories.sanity_run(),
    measurement(workload="train", latency_seconds=()),
    measurement(agreement=factories.agreement(), timing=factories.timing_proof()),
    measurement(placement=factories.placement(), flops_per_picture=1e9, process=1),
    measurement(batch_size=64, out_of_memory=True, round_seconds=(), latency_seconds=()),
    factories.peak(),
    check_result(),
    check_result(check="training_finished", seed=1, batch_size=None),
)


def assert_same(one, other):
    assert one.environment == other.environment
    for name, frame in one.tables().items():
        pd.testing.assert_frame_equal(frame, other.tables()[name], check_exact=True)
        # assert_frame_equal takes -0.0 for 0.0
        assert repr(frame.to_dict("list")) == repr(other.tables()[name].to_dict("list"))


@pytest.fixture
def read_back(tmp_path):
    """Returns a report as it was read, which must be as it was written."""

    def through(*records):
        report = report_of(records)
        write_report(report, tmp_path)
        read = load_report(str(tmp_path))
        assert_same(report, read)
        return read

    return through


@pytest.mark.parametrize("records", [RECORDS, ()])
def test_a_report_has_the_schema_and_is_read_as_it_was_written(read_back, records):
    report = read_back(*records)
    assert report.environment == (records[0].content if records else {})
    for table, columns in SCHEMA.items():
        frame = report.tables()[table]
        assert frame.empty == (not records)
        expected = {name: pd.Series([], dtype=dtype).dtype for name, dtype in columns.items()}
        assert frame.dtypes.to_dict() == expected


def test_every_bit_of_a_float_is_read_back(read_back):
    rng = random.Random(0)
    drawn = [rng.random() * 10.0 ** rng.randrange(-20, 20) for _ in range(5000)]
    read_back(*(check_result(observed=value, threshold=-value) for value in (*AWKWARD, *drawn)))


@pytest.mark.parametrize("name", [*LIKE_NUMBERS, *ODD])
def test_every_name_is_read_back(read_back, name):
    names = (name, f"{name}/{name}", "x", "y")
    data = data_set(name=name, classes=(name, "7"), validation_names=names)
    read = read_back(data, training_run(variant=name), check_result(variant=name, detail=name))
    assert read.predictions["true_class"].tolist() == [name, name, "7", "7"]


def test_a_missing_number_is_no_number(read_back):
    read = read_back(check_result(seed=None), check_result(seed=3), measurement(latency_seconds=()))
    assert read.checks["seed"].tolist() == [pd.NA, 3]
    assert math.isnan(read.throughput["latency_p99_ms"][0])


def test_the_tables_are_plain_csv_and_a_report_alone(read_back, tmp_path):
    written = read_back(*RECORDS)
    lines = (tmp_path / "epochs.csv").read_bytes().split(b"\n")
    assert lines[0].decode() == ",".join(SCHEMA["epochs"])
    assert lines[1] == b"documented,0,tensorflow,cpu,float32,32,1,0.6,0.625,0.65,0.5,"
    (tmp_path / "environment.json").unlink()
    read = load_report(tmp_path)
    assert read.environment == {}
    pd.testing.assert_frame_equal(read.runs, written.runs, check_exact=True)


@pytest.fixture
def killed(tmp_path):
    """A folder of a killed run: with a journal and no tables."""
    journal = Journal(tmp_path / JOURNAL_NAME)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return tmp_path


def test_a_killed_run_is_read_from_its_journal(killed):
    assert_same(load_report(killed), report_of(RECORDS))
    write_report(report_of([]), killed)
    (killed / "predictions.csv").unlink()  # killed while it wrote tables
    assert_same(load_report(killed), report_of(RECORDS))
    path = killed / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:-10])  # killed while it wrote the journal
    assert_same(load_report(killed), report_of(RECORDS[:-1]))


def test_what_is_no_report_is_named(tmp_path):
    (tmp_path / "runs.csv").touch()
    for path in (tmp_path / "none", tmp_path / "runs.csv"):
        with pytest.raises(FileNotFoundError, match=f"No such .*. Received: path='{path}'"):
            load_report(path)
    message = f"Expected journal.jsonl or the tables runs.csv, .*. Received: path='{tmp_path}'"
    with pytest.raises(FileNotFoundError, match=message):
        load_report(tmp_path)


@pytest.mark.parametrize("header", ["variant,sowing,backend", ""])
def test_missing_columns_are_named(read_back, tmp_path, header):
    read_back()
    (tmp_path / "runs.csv").write_text(header)
    message = rf"{re.escape(str(tmp_path))}/runs.csv lacks the columns (variant, )?seed, "
    with pytest.raises(ValueError, match=message):
        load_report(tmp_path)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_kept_examples_are_read(folder):
    assert not load_report(folder).throughput.empty


def test_what_is_shown_of_a_report_is_short():
    report = report_of([training_run(variant="wide", val_accuracy=0.75), measurement()])
    assert repr(report).startswith("Report(rows: runs=1, ")
    assert len(repr(report)) < 100
    assert "<td>0.750</td>" in report._repr_html_()
    assert "train_images_per_second" in report._repr_html_()
