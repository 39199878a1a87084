"""Ratios of speed with their intervals."""

import math

import numpy as np
import pytest
from speeds import source, speed

from cnnbench.comparing.ratios import compare_sources, geometric_mean
from cnnbench.comparing.speeds import OUT_OF_MEMORY, WRONG_ANSWERS, Process, is_wrong, process_of


def compared(first, later, across=()):
    """Return the only ratio of two rows."""
    (ratio,) = compare_sources(source("A", first), source("B", later), across).ratios
    return ratio


# One row


def test_a_process_is_its_median_round():
    process = process_of(3, [1.0, 4.0, 2.0])
    assert (process.number, process.rounds) == (3, 3)
    assert process.log_seconds == pytest.approx(math.log(2))
    assert process.round_sd == pytest.approx(math.log(2))


def test_one_round_has_no_spread():
    assert math.isnan(process_of(0, [1.0]).round_sd)


def test_a_ratio_is_the_later_speed_over_the_first():
    assert compared(speed(0.02, 0.02), speed(0.01, 0.01)).value == pytest.approx(2)


def test_speed_is_the_geometric_mean_of_processes():
    assert speed(0.01, 0.04).per_second == pytest.approx(50)
    assert math.isnan(speed().per_second)


def test_an_interval_rests_on_processes():
    ratio = compared(speed(0.0100, 0.0102, 0.0098), speed(0.0100, 0.0103, 0.0097))
    assert ratio.basis == "processes"
    a, b = (np.log([0.0100, 0.0102, 0.0098]), np.log([0.0100, 0.0103, 0.0097]))
    variances = a.var(ddof=1) / 3, b.var(ddof=1) / 3
    assert ratio.change.error == pytest.approx(math.sqrt(sum(variances)))
    assert [df for _, df in ratio.change.parts] == [2, 2]
    assert ratio.interval().low < ratio.value < ratio.interval().high


@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1)])
def test_a_single_process_has_an_interval_of_its_rounds_and_says_so(counts):
    sides = [speed(*(0.01, 0.0101, 0.0099)[:count]) for count in counts]
    ratio = compared(*sides)
    assert ratio.basis == "rounds"
    assert 0.9 < ratio.interval().low < ratio.value < ratio.interval().high < 1.1


def test_a_single_round_has_no_interval():
    process = (Process(0, math.log(0.01), 1, math.nan),)
    ratio = compared(speed(processes=process), speed(0.01, 0.01))
    assert ratio.basis == "none"
    assert (ratio.interval().low, ratio.interval().high) == (0.0, math.inf)
    ratio = compared(speed(0.01, 0.01), speed(processes=process))
    assert (ratio.interval().low, ratio.interval().high) == (0.0, math.inf)


def test_a_row_without_time_has_no_ratio():
    ratio = compared(speed(0.01), speed(problems=(OUT_OF_MEMORY,)))
    assert math.isnan(ratio.value)
    assert ratio.problems == ("out of memory (later)",)
    assert (ratio.basis, ratio.interval().high) == ("none", math.inf)


# Partners


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"variant": "wide"}, "not in B"),
        ({"workload": "train"}, "not in B"),
        ({"backend": "jax"}, "only with backend jax"),
        ({"device": "gpu"}, "only with device gpu"),
        ({"dtype": "float16"}, "only with dtype float16"),
        ({"batch_size": 64}, "only with batch_size 64"),
        ({"fingerprint": "beef"}, "another network"),
    ],
)
def test_other_rows_are_no_partners_and_it_says_why(changes, why):
    one = compare_sources(source("A", speed(0.01)), source("B", speed(0.01, **changes)))
    assert (one.ratios, one.mean) == ((), None)
    (line,) = one.unmatched
    assert line.startswith("documented inference tensorflow cpu float32 batch 32: ")
    assert why.replace("\\", "") in line
    assert len(one.extra) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("backend", "jax"), ("device", "gpu"), ("dtype", "int8"), ("batch_size", 64)],
)
def test_a_lifted_column_may_differ(column, value):
    assert compared(speed(0.02), speed(0.01, **{column: value}), (column,)).value > 1.9


def test_another_variant_may_be_another_network():
    ratio = compared(speed(0.02), speed(0.01, variant="wide", fingerprint="beef"), ("variant",))
    assert ratio.differing == ()


def test_a_lifted_column_is_no_licence_for_another_network():
    one = compare_sources(
        source("A", speed(0.01)), source("B", speed(0.01, fingerprint="beef")), ("backend",)
    )
    assert one.ratios == ()


def test_an_unknown_column_is_refused():
    with pytest.raises(ValueError, match=r"variant, backend.*Received: across='backend,threads'"):
        compare_sources(source("A"), source("B"), ("backend", "threads"))


def test_devices_of_a_kind_are_partners():
    assert compared(speed(0.01, device="gpu:1"), speed(0.01, device="gpu")).value == 1


def test_the_same_device_is_the_better_partner():
    later = [speed(0.01, device=name) for name in ("gpu:0", "gpu:1")]
    one = compare_sources(source("A", speed(0.01, device="gpu:1")), source("B", *later))
    assert [ratio.later.device for ratio in one.ratios] == ["gpu:1"]
    assert len(one.extra) == 1


def test_every_pair_over_a_lifted_column_is_compared():
    rows = [speed(0.01, backend=name) for name in ("jax", "torch")]
    one = compare_sources(source("A", *rows), source("B", *rows), ("backend",))
    names = [(ratio.first.backend, ratio.later.backend) for ratio in one.ratios]
    assert names == [("jax", "jax"), ("jax", "torch"), ("torch", "jax"), ("torch", "torch")]


def test_within_a_report_the_first_row_is_compared_with_the_others():
    rows = [speed(0.01 * n, backend=name) for n, name in ((1, "jax"), (2, "torch"), (4, "x"))]
    rows += [speed(0.01, workload="train")]
    one = source("A", *rows)
    found = compare_sources(one, one, ("backend",))
    assert [ratio.value for ratio in found.ratios] == pytest.approx([0.5, 0.25])
    assert (found.unmatched, found.extra) == ((), ())


def test_conditions_that_differ_are_told():
    first = source("A", speed(0.01), cpu="x", python="3.11")
    later = source("B", speed(0.01, conditions={"threads": "4", "tf32": "off"}), cpu="y")
    one = compare_sources(first, later)
    assert one.ratios[0].differing == ("threads: 2 and 4", "tf32: ? and off")
    assert one.differing == ("cpu: x and y", "python: 3.11 and ?")


# Geometric mean


def test_the_mean_is_geometric():
    rows = [speed(0.01, 0.01), speed(0.01, 0.01, batch_size=64)]
    later = [speed(0.02, 0.02), speed(0.0025, 0.0025, batch_size=64)]
    mean = compare_sources(source("A", *rows), source("B", *later)).mean
    assert mean.rows == 2
    assert mean.value == pytest.approx(math.sqrt(2))


def test_processes_that_are_slow_in_all_rows_stay_in_the_error():
    noise = np.exp([0.1, -0.1, 0.05])
    rows = [speed(*(0.01 * noise), batch_size=size) for size in (8, 16, 32, 64)]
    ratios = compare_sources(source("A", *rows), source("B", *rows)).ratios
    assert geometric_mean(ratios).change.error == pytest.approx(ratios[0].change.error)


def test_noise_of_one_row_is_averaged_out():
    rng = np.random.default_rng(0)
    rows = [speed(*np.exp(rng.normal(-4, 0.1, 5)), batch_size=size) for size in range(1, 17)]
    ratios = compare_sources(source("A", *rows), source("B", *rows)).ratios
    errors = [one.change.error for one in ratios]
    assert geometric_mean(ratios).change.error < sum(errors) / len(errors) / 2


def test_rows_that_do_not_share_processes_have_no_smaller_error_together():
    rows = [speed(0.01, 0.011, 0.012), speed(0.01, 0.011, batch_size=64)]
    ratios = compare_sources(source("A", *rows), source("B", *rows)).ratios
    mean = geometric_mean(ratios)
    assert mean.change.error == pytest.approx(sum(one.change.error for one in ratios) / 2)
    assert mean.change.df == min(one.change.df for one in ratios)
    assert mean.interval().low < 1 < mean.interval().high


def test_a_mean_of_rounds_says_so():
    ratios = [compared(speed(0.01, 0.01), speed(0.01, 0.01)), compared(speed(0.01), speed(0.01))]
    assert geometric_mean(ratios).basis == "rounds"


def test_rows_with_a_problem_are_not_in_the_mean():
    wrong = compared(speed(0.01), speed(0.001, problems=(WRONG_ANSWERS,)))
    assert wrong.value > 9
    assert geometric_mean([wrong]) is None
    assert geometric_mean([wrong, compared(speed(0.01), speed(0.01))]).value == 1


# Coverage


def test_intervals_cover_the_truth_with_noise_between_processes():
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(1500):
        # Another spread and another number of processes on each side, as of two machines.
        first = speed(*np.exp(rng.normal(-4.0, 0.01, 3)))
        later = speed(*np.exp(rng.normal(-4.5, 0.04, 5)))
        interval = compared(first, later).interval()
        inside += interval.low <= math.exp(0.5) <= interval.high
    assert 0.935 < inside / 1500 < 0.985


def test_intervals_of_rounds_miss_the_noise_between_processes():
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(500):
        sides = []
        for _ in range(2):
            rounds = np.exp(rng.normal(-4, 0.03) + rng.normal(0, 0.02, 10))
            sides.append(speed(processes=(process_of(0, rounds),)))
        interval = compared(*sides).interval()
        inside += interval.low <= 1 <= interval.high
    assert inside / 500 < 0.75  # which is why they are never enough for a verdict


def test_intervals_of_rounds_cover_where_there_is_no_other_noise():
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(500):
        sides = [
            speed(processes=(process_of(0, np.exp(rng.normal(-4, 0.02, 10))),)) for _ in range(2)
        ]
        interval = compared(*sides).interval()
        inside += interval.low <= 1 <= interval.high
    assert inside / 500 > 0.93


@pytest.mark.parametrize(
    ("share", "dtype", "wrong"),
    [
        (0.9991, "float32", False),
        (0.9989, "float32", True),
        (0.98, "int8", False),
        (0.94, "int8", True),
        (None, "float32", False),
        (math.nan, "float32", False),
    ],
)
def test_answers_are_wrong_below_a_share(share, dtype, wrong):
    assert is_wrong(share, dtype) == wrong
