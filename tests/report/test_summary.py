"""The summary: two tables, what did not pass, and the conditions."""

import math

import pytest
from factories import check_result, data_set, measurement, peak, training_run

from cnnbench.records.records import Environment
from cnnbench.report.frames import report_of
from cnnbench.report.summary import accuracy_frame, speed_frame, summary_text

IDENTITY = Environment(
    {
        "machine": {"cpu": "Example CPU", "logical_cpus": 8},
        "packages": {"keras": "3.10.0", "tensorflow-cpu": "2.20.0", "numpy": "2.0", "jax": "0.10"},
        "python": "3.11.7",
        "data": {"name": "pets", "train_pictures": 8, "validation_pictures": 4},
    }
)
TRAIN = measurement(workload="train", latency_seconds=(), round_seconds=(2.0,) * 3)


def speeds(*records):
    return speed_frame(report_of(records)).to_dict("records")


def lines_of(*records):
    return summary_text(report_of(records)).splitlines()


# Tables


def test_accuracy_and_gap_are_mean_and_sample_deviation():
    # 0.5 and 1: mean 0.75, deviation sqrt(0.125) = 0.354; gaps 0.375 and -0.125.
    runs = training_run(val_accuracy=0.5), training_run(seed=1, val_accuracy=1.0)
    report = report_of([training_run(variant="wide", parameters=7), *runs])
    documented, wide = accuracy_frame(report).to_dict("records")
    assert " ".join(documented) == "variant seeds val_accuracy generalization_gap parameters"
    assert list(documented.values()) == ["documented", 2, "0.750 ± 0.354", "0.125 ± 0.354", 1000]
    assert (wide["seeds"], wide["val_accuracy"], wide["parameters"]) == (1, "0.750", 7)


def test_both_workloads_of_a_configuration_are_one_row():
    # 32 pictures a step, 2 steps a round: 64 in 2 s and in 1 s.
    (row,) = speeds(TRAIN, measurement(peak_memory_mb=600.0))
    assert (row["variant"], row["backend"], row["device"]) == ("documented", "tensorflow", "cpu")
    both = row["train_images_per_second"], row["inference_images_per_second"]
    assert both == pytest.approx((32.0, 64.0))
    assert (row["latency_p50_ms"], row["latency_p99_ms"]) == pytest.approx((250.0, 500.0))
    assert row["peak_memory_mb"] == 600


def test_a_speed_is_the_geometric_mean_of_processes_at_each_place():
    slow = measurement(process=1, round_seconds=(4.0,) * 3)
    rows = speeds(measurement(), slow, measurement(device="gpu"), measurement(batch_size=8))
    both = [row["inference_images_per_second"] for row in rows]
    assert both == pytest.approx([16.0, 32.0, 64.0])
    assert math.isnan(rows[0]["train_images_per_second"])


# Text


def test_text_has_tables_and_conditions():
    lines = lines_of(IDENTITY, data_set(), training_run(), TRAIN, measurement(), check_result())
    assert [" ".join(line.split()) for line in lines[:6]] == [
        "variant seeds accuracy gap parameters",
        "documented 1 0.750 0.125 1000",
        "",
        "variant backend device dtype batch train/s infer/s train % infer % p50 ms p99 ms MB",
        "documented tensorflow cpu float32 32 32 64 - - 250.00 500.00 512",
        "",
    ]
    assert lines[6:] == [
        "checks: 1 passed",
        "machine: Example CPU, 8 CPUs, keras 3.10.0, tensorflow-cpu 2.20.0, Python 3.11.7",
        "pictures: pets, 8 for training, 4 held out; epochs: 2; accuracy and gap: mean ± sd over "
        "seeds",
        "timing: threads 2, rounds 3, processes 1; %: of the peak; p50, p99: of one picture",
    ]


def test_text_is_at_most_100_columns_wide():
    name, cpu = "early-stopping", "A processor with a very long name and a clock @ 3.00GHz"
    place = {"variant": name, "backend": "onnxruntime", "dtype": "bfloat16", "batch_size": 1024}
    packages = {f"{name}-cpu": "10.20.30" for name in ("tensorflow", "onnxruntime", "keras")}
    identity = {"machine": {"cpu": cpu}, "packages": packages, "python": "3.13.10"}
    lines = lines_of(
        Environment(identity),
        *(training_run(variant=name, seed=seed, parameters=10**8) for seed in (0, 1)),
        *(check_result(verdict="fail", check=f"a_check_{number}") for number in range(20)),
        measurement(**place, latency_seconds=(0.5,), peak_memory_mb=8e4),
        measurement(**place, workload="train", round_seconds=(0.01,)),
    )
    assert max(map(len, lines)) <= 100


def test_numbers_that_are_missing_are_dashes():
    lines = lines_of(TRAIN)
    assert lines[1].split()[5:] == ["32", "-", "-", "-", "-", "-", "512"]
    assert "machine: unknown CPU, ? CPUs, Python ?" in lines
    assert "pictures: ?, ? for training, ? held out; epochs: -" in lines[4]


def test_conditions_that_differ_are_all_named():
    runs = training_run(), training_run(seed=1, epochs=1)
    text = "\n".join(lines_of(*runs))
    assert "epochs: 1, 2" in text
    assert "timing" not in text
    other = [measurement(batch_size=8, threads=1, round_seconds=(1.0,), process=n) for n in (0, 1)]
    text = "\n".join(lines_of(*runs, measurement(), *other))
    assert "threads 1, 2, rounds 1, 3, processes 1, 2" in text


def test_what_did_not_pass_is_named_once_under_its_variant():
    lines = lines_of(
        training_run(),
        *(check_result(check="dead_units", verdict="fail", seed=seed) for seed in (0, 1)),
        check_result(verdict="fail"),
        check_result(verdict="inconclusive", check="generalization_gap"),
        check_result(variant="crashing", verdict="error", check="accuracy"),
        check_result(variant="", verdict="fail", check="held_out"),
        check_result(check="same_answers", verdict="fail", device="gpu"),
        check_result(check="weights_moved"),
    )
    assert lines[3:9] == [
        "checks: 1 passed, 5 failed, 1 inconclusive, 1 not judged",
        "documented: failed: dead_units, accuracy",
        "documented: inconclusive: generalization_gap",
        "crashing: not judged: accuracy",
        "the pictures: failed: held_out",
        "documented on tensorflow gpu float32 batch 32: failed: same_answers",
    ]


def test_the_share_of_the_peak_is_shown_where_there_is_one():
    fast = measurement(flops_per_picture=1e9)
    lines = lines_of(peak(), fast, measurement(backend="jax", flops_per_picture=1e9))
    assert [line.split()[7:9] for line in lines[1:3]] == [["-", "-"], ["-", "64"]]


def test_text_without_runs_and_measurements_says_so_and_what_did_not_pass():
    nothing = "No training run or measurement was recorded."
    assert lines_of(IDENTITY, data_set()) == [nothing]
    lines = lines_of(check_result(verdict="error"))
    assert lines == [nothing, "checks: 1 not judged", "documented: not judged: accuracy"]
