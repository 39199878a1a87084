import random
from statistics import quantiles

import pytest
from factories import agreement, measurement, peak, placement, timing_proof

from cnnbench.report.rows import percentile, throughput_row
from cnnbench.report.tables import derive

# Throughput and rounds


def test_throughput_follows_from_the_median_step():
    # Rounds of 4 steps: 0.5, 1.0 and 9.0 s; the median step takes 0.25 s for 32 pictures.
    row = throughput_row(measurement(steps_per_round=4, round_seconds=(9.0, 0.5, 1.0)))
    assert (row["step_time_ms"], row["images_per_second"]) == (250.0, 128.0)


def test_the_median_of_an_even_number_is_between_the_middle_two():
    row = throughput_row(measurement(steps_per_round=1, round_seconds=(1.0, 2.0, 4.0, 8.0)))
    assert row["step_time_ms"] == 3000.0


def test_the_spread_is_the_interquartile_range():
    # numpy.percentile([1, 2, 4, 8, 16], [25, 75]) is [2, 8].
    rounds = (16.0, 1.0, 8.0, 2.0, 4.0)
    row = throughput_row(measurement(steps_per_round=1, round_seconds=rounds))
    assert row["step_time_iqr_ms"] == 6000.0


def test_a_single_round_has_no_spread():
    assert throughput_row(measurement(round_seconds=(1.0,)))["step_time_iqr_ms"] == 0.0


@pytest.mark.parametrize(
    ("calls", "p99"), [(1, 1), (2, 2), (99, 99), (100, 99), (101, 100), (200, 198), (300, 297)]
)
def test_p99_is_the_nearest_rank(calls, p99):
    # The nearest rank is ceil(0.99 n), counted from 1: a latency that really occurred.
    latencies = [float(second) for second in range(1, calls + 1)]
    random.Random(0).shuffle(latencies)
    row = throughput_row(measurement(latency_seconds=tuple(latencies)))
    assert row["latency_p99_ms"] == p99 * 1e3


def test_p90_is_the_nearest_rank():
    row = throughput_row(measurement(latency_seconds=(0.5, *(0.125,) * 8, 0.25)))
    assert row["latency_p90_ms"] == 250.0


def test_p50_is_the_median():
    row = throughput_row(measurement(latency_seconds=(0.5, 0.125, 0.25)))
    assert row["latency_p50_ms"] == 250.0


def test_without_latencies_they_are_missing():
    row = throughput_row(measurement(workload="train", latency_seconds=()))
    latencies = [row[f"latency_p{share}_ms"] for share in (50, 90, 99)]
    assert (latencies, row["latency_calls"]) == ([None, None, None], 0)


def test_the_sizes_of_a_measurement_stand_beside_it():
    row = throughput_row(measurement(round_seconds=(1.0,) * 7, latency_seconds=(1.0,) * 9))
    assert (row["rounds"], row["steps_per_round"], row["warmup_rounds"]) == (7, 2, 1)
    assert (row["latency_calls"], row["threads"], row["peak_memory_mb"]) == (9, 2, 512.0)


def test_nothing_is_rounded():
    seconds = (0.1, 0.2, 0.1 + 0.2)
    row = throughput_row(measurement(steps_per_round=3, round_seconds=seconds, batch_size=7))
    low, middle, high = quantiles([s / 3 for s in seconds], n=4, method="inclusive")
    assert row["images_per_second"] == 7 / middle
    assert row["step_time_iqr_ms"] == (high - low) * 1e3


def test_rounds_are_raw_seconds_counted_from_one():
    rows = derive([measurement(round_seconds=(0.5, 0.1 + 0.2))])["rounds"]
    assert [(row["round"], row["steps"], row["seconds"]) for row in rows] == [
        (1, 2, 0.5),
        (2, 2, 0.1 + 0.2),
    ]


def test_a_batch_that_did_not_fit_has_a_row_without_figures():
    full = measurement(out_of_memory=True, round_seconds=(), latency_seconds=(), steps_per_round=0)
    row = throughput_row(full, peak())
    assert (row["out_of_memory"], row["rounds"]) == ("yes", 0)
    empty = ("images_per_second", "step_time_ms", "step_time_iqr_ms", "percent_of_peak")
    assert {row[name] for name in (*empty, "queue_linearity", "equal_share")} == {None}
    assert derive([full])["rounds"] == []


def test_processes_stand_in_both_tables():
    tables = derive([measurement(process=1), measurement(process=0)])
    assert [row["process"] for row in tables["throughput"]] == [0, 1]
    assert [row["process"] for row in tables["rounds"]] == [0, 0, 0, 1, 1, 1]


def test_what_proves_a_speed_stands_beside_it():
    row = throughput_row(
        measurement(
            agreement=agreement(equal_share=0.999, accuracy_difference=-0.001),
            timing=timing_proof(drain_seconds=0.002),
            placement=placement(weight_dtypes=("float32", "int8"), compute_dtypes=("int8",)),
            copy_seconds=(0.5, 0.25, 1.0),
            tf32="off",
            data_hash="c0ffee",
        )
    )
    assert (row["equal_share"], row["accuracy_difference"]) == (0.999, -0.001)
    assert (row["queue_linearity"], row["drain_ms"]) == (pytest.approx(1.0), 2.0)
    assert (row["placed_on"], row["weight_dtype"]) == ("cpu", "float32+int8")
    assert (row["compute_dtype"], row["copy_ms"]) == ("int8", 500.0)
    assert (row["tf32"], row["data_hash"], row["out_of_memory"]) == ("off", "c0ffee", "")


def test_what_was_not_found_out_is_missing():
    row = throughput_row(measurement())
    numbers = ("equal_share", "queue_linearity", "drain_ms", "copy_ms", "watts", "clock_mhz")
    assert {row[name] for name in (*numbers, "percent_of_peak")} == {None}
    assert {row[name] for name in ("placed_on", "weight_dtype", "throttled", "concerns")} == {""}


def test_percent_of_peak_is_of_the_larger_limit():
    # 64 pictures a second of 1e9 operations each are 64 % of 1e11.
    row = throughput_row(measurement(flops_per_picture=1e9), peak())
    assert row["percent_of_peak"] == pytest.approx(64.0)


def test_a_model_of_two_dtypes_has_no_single_peak():
    mixed = placement(compute_dtypes=("float32", "int8"))
    row = throughput_row(measurement(flops_per_picture=1e9, placement=mixed), peak())
    assert row["percent_of_peak"] is None


@pytest.mark.parametrize("other", ["backend", "device", "dtype", "threads"])
def test_a_peak_belongs_to_its_place(other):
    timed = measurement(flops_per_picture=1e9)
    elsewhere = peak(**{other: 4 if other == "threads" else "elsewhere"})
    (row,) = derive([elsewhere, timed])["throughput"]
    assert row["percent_of_peak"] is None
    (row,) = derive([elsewhere, timed, peak()])["throughput"]
    assert row["percent_of_peak"] == pytest.approx(64.0)


def test_energy_is_of_a_thousand_pictures():
    # 192 pictures in 3 s at 64 W are 1 J a picture.
    telemetry = {"watts": 64.0, "clock_mhz_last": 1500.0, "throttled": "power"}
    row = throughput_row(measurement(telemetry=telemetry))
    assert (row["watts"], row["joules_per_1000"]) == (64.0, 1000.0)
    assert (row["clock_mhz"], row["throttled"]) == (1500.0, "power")
    assert row["concerns"] == "The device was throttled: power."


# Peaks


def test_a_peak_is_a_row_of_its_own():
    (row,) = derive([peak(convolution_flops_per_second=None)])["peaks"]
    assert (row["matmul_flops_per_second"], row["convolution_flops_per_second"]) == (1e11, None)


def test_the_percentile_of_one_value_is_that_value():
    assert percentile((3.0,), 0.01) == percentile((3.0,), 1.0) == 3.0
