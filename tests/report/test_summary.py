import pandas as pd
import pytest
from factories import check_result, data_set, measurement, training_run

from cnnbench.records.runs import Environment
from cnnbench.report.frames import report_of
from cnnbench.report.summary import COLUMNS, RARE, conditions, summary_frame, summary_text

IDENTITY = Environment(
    {
        "machine": {"cpu": "Example CPU", "logical_cpus": 8},
        "packages": {"keras": "3.10.0", "tensorflow": "2.20.0", "numpy": "2.0"},
        "python": "3.11.7",
        "data": {"name": "pets", "train_pictures": 8, "validation_pictures": 4},
    }
)
TRAIN = measurement(workload="train", latency_seconds=(), round_seconds=(2.0,) * 3)


def frame(*records) -> pd.DataFrame:
    return summary_frame(report_of(records))


def text(*records) -> str:
    return summary_text(report_of(records))


# Rows


def test_one_row_a_variant():
    runs = [training_run(variant=v, seed=s) for v in ("wide", "documented") for s in (0, 1)]
    rows = frame(*runs, TRAIN, measurement(), measurement(variant="wide"))
    assert rows["variant"].tolist() == ["documented", "wide"]
    assert rows["seeds"].tolist() == [2, 2]


def test_each_device_and_batch_size_has_a_row():
    places = [("cpu", 8), ("cpu", 32), ("gpu", 8)]
    rows = frame(training_run(), *(measurement(device=d, batch_size=b) for d, b in places))
    assert list(zip(rows["device"], rows["batch_size"], strict=True)) == places
    assert rows["accuracy"].tolist() == ["0.750"] * 3  # the variant's


def test_both_workloads_stand_in_one_row():
    # 32 pictures a step, 2 steps a round: 64 in 2 s and in 1 s.
    (row,) = frame(TRAIN, measurement()).to_dict("records")
    assert (row["train"], row["inference"]) == (32.0, 64.0)
    assert (row["p50"], row["p99"], row["memory"]) == (250.0, 500.0, 512.0)


def test_a_variant_that_was_not_measured_has_a_row():
    rows = frame(training_run(variant="wide"), training_run(), measurement())
    assert rows["variant"].tolist() == ["documented", "wide"]
    assert rows["inference"].isna().tolist() == [False, True]


def test_only_throughput_has_rows_without_accuracy():
    (row,) = frame(measurement()).to_dict("records")
    assert (row["seeds"], row["accuracy"], row["gap"], row["failed"]) == (0, "-", "-", "-")
    assert pd.isna(row["parameters"])


def test_no_records_have_no_rows():
    rows = frame()
    assert rows.empty
    assert rows.columns[-len(COLUMNS) :].tolist() == list(COLUMNS)


# Cells


def test_accuracy_and_gap_are_mean_and_sample_deviation():
    # 0.5 and 1: mean 0.75, deviation sqrt(0.125) = 0.354; gaps 0.375 and -0.125.
    (row,) = frame(training_run(val_accuracy=0.5), training_run(seed=1, val_accuracy=1.0)).to_dict(
        "records"
    )
    assert (row["accuracy"], row["gap"]) == ("0.750 ± 0.354", "0.125 ± 0.354")


def test_one_seed_has_no_deviation():
    assert frame(training_run())["accuracy"].tolist() == ["0.750"]


def test_passed_checks_are_not_listed():
    assert frame(training_run(), check_result())["failed"].tolist() == ["none"]


def test_without_checks_nothing_is_said_to_have_passed():
    assert frame(training_run())["failed"].tolist() == ["-"]


def test_failed_checks_are_listed_once_each():
    failed = [
        check_result(check=name, verdict="fail", seed=seed)
        for name, seed in (("training_finished", 0), ("training_finished", 1), ("accuracy", None))
    ]
    passed = check_result(check="weights_moved")
    assert frame(training_run(), passed, *failed)["failed"].tolist() == [
        "training_finished, accuracy"
    ]


@pytest.mark.parametrize("verdict", ["inconclusive", "error"])
def test_what_is_undecided_or_could_not_be_judged_did_not_fail(verdict):
    checks = [check_result(check=name, verdict=verdict) for name in ("gap", "rise", "gap")]
    (row,) = frame(training_run(), check_result(), *checks).to_dict("records")
    other = ({"inconclusive", "error"} - {verdict}).pop()
    assert (row["failed"], row[verdict], row[other]) == ("none", "gap, rise", "-")


def test_checks_belong_to_their_variant():
    failed = check_result(variant="wide", verdict="fail")
    rows = frame(training_run(), training_run(variant="wide"), check_result(), failed)
    assert rows["failed"].tolist() == ["none", "accuracy"]


# Text


def test_text_has_a_line_a_row_and_the_conditions():
    lines = text(IDENTITY, data_set(), training_run(), TRAIN, measurement()).splitlines()
    usual = [title for name, title in COLUMNS.items() if name not in RARE]
    assert lines[0].split() == " ".join(["variant", "seeds", *usual]).split()
    assert lines[1].split() == [
        *("documented", "1", "0.750", "0.125"),
        *("32", "64", "250.00", "500.00", "512", "1000", "-"),
    ]
    assert lines[2] == "backend tensorflow, device cpu, dtype float32, batch size 32"
    assert (
        lines[3:]
        == conditions(
            report_of([IDENTITY, data_set(), training_run(), TRAIN, measurement()])
        ).splitlines()
    )


@pytest.mark.parametrize("verdict", ["inconclusive", "error"])
def test_what_is_undecided_or_could_not_be_judged_has_a_column(verdict):
    checks = [check_result(check="gap", verdict=verdict), check_result(check="rise")]
    head, documented, wide = text(
        training_run(variant="wide"), training_run(), *checks
    ).splitlines()[:3]
    title = COLUMNS[verdict]
    assert head.endswith(f"failed checks {title}")
    assert sum(COLUMNS[name] in head for name in RARE) == 1
    assert documented.split()[-2:] == ["none", "gap"]
    assert wide.split()[-2:] == ["-", "-"]


def test_red_checks_of_what_has_no_row_stand_below_the_table():
    checks = [
        *[check_result(variant="crashing", verdict="error", check="gap")] * 2,
        check_result(variant="", verdict="fail", check="held_out"),
        check_result(variant="crashing", check="rise"),
        check_result(verdict="fail"),
    ]
    lines = text(training_run(), *checks).splitlines()
    assert lines[2:4] == ["gap of crashing: error", "held_out: fail"]
    assert lines[4].startswith("backend tensorflow")


def test_what_differs_is_a_column():
    head = text(measurement(), measurement(batch_size=8, device="gpu")).splitlines()[0]
    assert head.split()[:3] == ["variant", "device", "batch_size"]


def test_numbers_that_are_missing_are_dashes():
    lines = text(training_run()).splitlines()
    assert lines[1].split() == [
        *("documented", "1", "0.750", "0.125"),
        *("-", "-", "-", "-", "-", "1000", "-"),
    ]


def test_text_of_only_throughput():
    assert text(measurement()).splitlines()[1].split()[:4] == ["documented", "0", "-", "-"]


@pytest.mark.parametrize("records", [(), (IDENTITY, data_set()), (check_result(variant=""),)])
def test_text_without_runs_and_measurements_says_so(records):
    assert text(*records) == "No training run or measurement was recorded."


def test_text_without_runs_and_measurements_names_red_checks():
    checks = [check_result(verdict="error"), check_result(variant="", verdict="fail", check="leak")]
    assert text(*checks).splitlines()[1:] == ["accuracy of documented: error", "leak: fail"]


def test_conditions_name_machine_versions_and_sizes():
    lines = conditions(report_of([IDENTITY, training_run(), measurement()])).splitlines()
    assert lines == [
        "Example CPU, 8 CPUs, tensorflow 2.20.0, keras 3.10.0, Python 3.11.7; timing threads 2, "
        "rounds 3",
        "data pets (8 training, 4 held-out pictures), epochs 2; accuracy and gap: mean ± sd over "
        "seeds; latency: one picture, median",
    ]


def test_conditions_that_differ_are_all_named():
    records = [training_run(), training_run(seed=1, epochs=1), measurement()]
    records.append(measurement(batch_size=8, threads=1, round_seconds=(1.0,)))
    lines = conditions(report_of(records))
    assert "timing threads 1, 2, rounds 1, 3" in lines
    assert "epochs 1, 2" in lines


def test_unknown_conditions_are_said_to_be_unknown():
    lines = conditions(report_of([training_run()]))
    assert "unknown CPU, ? CPUs" in lines
    assert "timing threads -, rounds -" in lines
    assert "data ? (? training, ? held-out pictures)" in lines


def test_a_speed_that_is_not_believed_is_one_rows():
    wrong = check_result(check="same_answers", verdict="fail", device="gpu")
    rows = frame(training_run(), measurement(), measurement(device="gpu"), wrong)
    assert rows["failed"].tolist() == ["-", "same_answers"]
