"""Ratios of speed with their intervals."""

import math

import numpy as np
import pytest
from speeds import compared, match, speed

from cnnbench.comparing.ratios import compare_all
from cnnbench.comparing.speeds import (
    OUT_OF_MEMORY,
    WRONG_ANSWERS,
    Process,
    ReportSpeeds,
    process_of,
)


def ratio(*sides):
    return match(*sides).ratio


# One row


def test_a_ratio_is_the_later_speed_over_the_first():
    assert ratio(speed(0.02, 0.02), speed(0.01, 0.01)).value == pytest.approx(2)
    assert ratio(speed(0.02, 0.02), speed(0.01, 0.04)).value == pytest.approx(1)  # geometric mean
    assert speed(0.01, 0.04).per_second == pytest.approx(50)


def test_an_interval_rests_on_processes():
    first, later = (0.0100, 0.0102, 0.0098), (0.0100, 0.0103, 0.0097)
    found = ratio(speed(*first), speed(*later))
    assert found.basis == "processes"
    error = math.sqrt(sum(np.log(side).var(ddof=1) / 3 for side in (first, later)))
    assert found.change.error == pytest.approx(error)
    assert [df for _, df in found.change.parts] == [2, 2]
    assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1)])
def test_a_single_process_has_an_interval_of_its_rounds_and_says_so(counts):
    found = ratio(*(speed(*(0.01, 0.0101, 0.0099)[:count]) for count in counts))
    assert found.basis == "rounds"
    assert 0.9 < found.interval.low < found.value < found.interval.high < 1.1


def test_the_error_of_a_median_of_rounds_is_that_of_a_normal_sample():
    one = ratio(speed(0.01), speed(0.01)).change
    assert one.error == pytest.approx(math.sqrt(2 * math.pi / 2 * 0.02**2 / 10))
    assert [df for _, df in one.parts] == [9, 9]


def test_a_single_round_has_no_interval():
    lone = speed(processes=(Process(0, math.log(0.01), 1, math.nan),))
    for found in (ratio(lone, speed(0.01, 0.01)), ratio(speed(0.01, 0.01), lone)):
        assert found.basis == "none"
        assert (found.interval.low, found.interval.high) == (0.0, math.inf)


def test_a_row_without_time_has_no_ratio():
    found = match(speed(0.01), speed(problems=(OUT_OF_MEMORY,)))
    assert (found.ratio, found.problems) == (None, ("out of memory (later)",))


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
        ({"fingerprint": "beef"}, "another network (fingerprint) under the same name"),
    ],
)
def test_other_rows_are_no_partners_and_it_says_why(changes, why):
    one = compared((speed(0.01), speed(0.01, **changes)))
    assert (one.matches, one.mean) == ((), None)
    assert one.unmatched == (f"documented inference tensorflow cpu float32 batch 32: {why}",)
    assert one.extra == (str(speed(**changes)),)


@pytest.mark.parametrize(
    ("column", "value"),
    [("backend", "jax"), ("device", "gpu"), ("dtype", "int8"), ("batch_size", 64)],
)
def test_a_lifted_column_may_differ(column, value):
    found = match(speed(0.02), speed(0.01, **{column: value}), across=(column,))
    assert found.ratio.value == pytest.approx(2)


def test_another_variant_may_be_another_network_but_one_variant_may_not():
    pair = speed(0.02), speed(0.01, variant="wide", fingerprint="beef")
    assert match(*pair, across=("variant",)).differing == ()
    pair = speed(0.02), speed(0.01, fingerprint="beef")
    assert compared(pair, across=("variant", "backend")).matches == ()


def test_devices_of_a_kind_are_partners_and_the_same_device_is_the_better_one():
    assert match(speed(0.01, device="gpu:1"), speed(0.01, device="gpu")).ratio.value == 1
    first = ReportSpeeds("A", (speed(0.01, device="gpu:1"),))
    later = ReportSpeeds("B", tuple(speed(0.01, device=name) for name in ("gpu:0", "gpu:1")))
    (one,) = compare_all([first, later])
    assert [found.later.device for found in one.matches] == ["gpu:1"]
    assert len(one.extra) == 1


def test_every_pair_over_a_lifted_column_is_compared():
    rows = [speed(0.01, backend=name) for name in ("jax", "torch")]
    one = compared(*((row, row) for row in rows), across=("backend",))
    names = [found.first.backend + found.later.backend for found in one.matches]
    assert names == ["jaxjax", "jaxtorch", "torchjax", "torchtorch"]


def test_within_a_report_the_first_row_is_compared_with_the_others():
    rows = [speed(0.01 * n, backend=name) for n, name in ((1, "jax"), (2, "torch"), (4, "x"))]
    report = ReportSpeeds("A", (*rows, speed(0.01, workload="train")))
    (found,) = compare_all([report], ("backend",))
    assert [one.ratio.value for one in found.matches] == pytest.approx([0.5, 0.25])
    assert (found.unmatched, found.extra) == ((), ())


def test_conditions_that_differ_are_listed():
    later = speed(0.01, conditions={"threads": "4", "tf32": "off"})
    reports = [
        ReportSpeeds("A", (speed(0.01),), {"cpu": "x", "python": "3.11", "flag": ""}),
        ReportSpeeds("B", (later,), {"cpu": "y"}),
    ]
    (one,) = compare_all(reports)
    assert one.matches[0].differing == ("threads: 2 and 4", "tf32: ? and off")
    assert one.differing == ("cpu: x and y", "python: 3.11 and ?")


@pytest.mark.parametrize(
    ("labels", "across", "message"),
    [
        ("AB", ("backend", "threads"), r"variant, backend.*Received: across='backend,threads'"),
        ("", (), "Expected two reports.*Received: reports=0"),
        ("A", (), "Expected two reports.*Received: reports=1"),
        ("AE", (), "No throughput was measured. Received: reports=E"),
    ],
)
def test_what_cannot_be_compared_is_refused(labels, across, message):
    reports = [ReportSpeeds(name, () if name == "E" else (speed(0.01),)) for name in labels]
    with pytest.raises(ValueError, match=message):
        compare_all(reports, across)


# Geometric mean


def test_the_mean_is_geometric():
    wide = {"batch_size": 64}
    one = compared(
        (speed(0.01, 0.01), speed(0.02, 0.02)), (speed(0.01, 0.01, **wide), speed(0.0025, **wide))
    )
    assert one.mean.value == pytest.approx(math.sqrt(2))
    assert one.mean.basis == "rounds"


def test_processes_that_are_slow_in_all_rows_stay_in_the_error():
    noise = 0.01 * np.exp([0.1, -0.1, 0.05])
    one = compared(*((speed(*noise, batch_size=n), speed(*noise, batch_size=n)) for n in (8, 16)))
    assert one.mean.change.error == pytest.approx(one.matches[0].ratio.change.error)


def test_noise_of_one_row_is_averaged_out():
    rng = np.random.default_rng(0)
    rows = [speed(*np.exp(rng.normal(-4, 0.1, 5)), batch_size=size) for size in range(1, 17)]
    one = compared(*((row, row) for row in rows))
    errors = [found.ratio.change.error for found in one.matches]
    assert one.mean.change.error < sum(errors) / len(errors) / 2


def test_rows_that_do_not_share_processes_have_no_smaller_error_together():
    rows = [speed(0.01, 0.011, 0.012), speed(0.01, 0.011, batch_size=64)]
    one = compared(*((row, row) for row in rows))
    changes = [found.ratio.change for found in one.matches]
    assert one.mean.change.error == pytest.approx(sum(each.error for each in changes) / 2)
    assert one.mean.change.df == min(each.df for each in changes)
    assert one.mean.interval.low < 1 < one.mean.interval.high


def test_rows_with_a_problem_are_not_in_the_mean():
    wrong = speed(0.01, batch_size=8), speed(0.001, batch_size=8, problems=(WRONG_ANSWERS,))
    assert match(*wrong).ratio.value == pytest.approx(10)
    assert compared(wrong).mean is None
    assert compared(wrong, (speed(0.01), speed(0.01))).mean.value == 1


# Coverage


def coverage(draw, truth=0.0, tries=500):
    """Returns how often intervals of drawn pairs of rows hold the truth."""
    rng = np.random.default_rng(7)
    intervals = [ratio(*draw(rng)).interval for _ in range(tries)]
    return sum(one.low <= math.exp(truth) <= one.high for one in intervals) / tries


def of_rounds(rng, process_sd):
    """Returns a row of one process with ten rounds."""
    rounds = np.exp(rng.normal(-4, process_sd) + rng.normal(0, 0.02, 10))
    return speed(processes=(process_of(0, rounds),))


def test_intervals_cover_the_truth_with_noise_between_processes():
    # Another spread and another number of processes on each side, as of two machines.
    def draw(rng):
        return (
            speed(*np.exp(rng.normal(-4.0, 0.01, 3))),
            speed(*np.exp(rng.normal(-4.5, 0.04, 5))),
        )

    assert 0.935 < coverage(draw, truth=0.5, tries=1500) < 0.985


def test_intervals_of_rounds_cover_only_where_there_is_no_noise_between_processes():
    assert coverage(lambda rng: (of_rounds(rng, 0), of_rounds(rng, 0))) > 0.93
    # Which is why they are never enough for a verdict.
    assert coverage(lambda rng: (of_rounds(rng, 0.03), of_rounds(rng, 0.03))) < 0.75
