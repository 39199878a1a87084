"""Ratios of speed with their intervals, and the gate over them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from speeds import OTHER, STEADY, compared, match, slower, speed

from cnnbench.comparing.ratios import compare_all, judge_speeds
from cnnbench.comparing.speeds import OUT_OF_MEMORY, WRONG_ANSWERS, ReportSpeeds
from cnnbench.verdicts.gates.ratio import RatioRule


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
    # That of the median of a normal sample.
    one = ratio(speed(0.01), speed(0.01)).change
    assert one.error == pytest.approx(math.sqrt(2 * math.pi / 2 * 0.02**2 / 11))
    assert [df for _, df in one.parts] == [10, 10]


def test_a_single_round_has_no_interval():
    lone = speed(processes={0: [0.01]})
    for found in (ratio(lone, speed(0.01, 0.01)), ratio(speed(0.01, 0.01), lone)):
        assert (found.basis, found.value) == ("none", pytest.approx(1))
        assert (found.interval.low, found.interval.high) == (0.0, math.inf)


# Partners


@pytest.mark.parametrize(("column", "value"), OTHER.items())
def test_rows_that_differ_are_partners_only_across_that_column(column, value):
    pair = speed(0.02), speed(0.01, **{column: value})
    one = compared(pair)
    assert (one.matches, one.mean, one.extra) == ((), None, (str(pair[1]),))
    assert one.unmatched == ("documented inference tensorflow cpu float32 batch 32: no such row",)
    if column != "workload":
        assert match(*pair, across=(column,)).ratio.value == pytest.approx(2)


def test_another_variant_may_be_another_network_but_one_variant_may_not():
    pair = speed(0.02), speed(0.01, variant="wide", fingerprint="beef")
    assert match(*pair, across=("variant",)).differing == ()
    one = compared((speed(0.02), speed(0.01, fingerprint="beef")), across=("variant", "backend"))
    assert one.matches == ()
    assert one.unmatched[0].endswith(": another network (fingerprint) under the same name")


def test_devices_of_a_kind_are_partners_and_the_same_device_is_the_better_one():
    assert match(speed(0.01, device="gpu:1"), speed(0.01, device="gpu")).ratio.value == 1
    first = ReportSpeeds("A", (speed(0.01, device="gpu:1"),))
    later = ReportSpeeds("B", tuple(speed(0.01, device=name) for name in ("gpu:0", "gpu:1")))
    (one,) = compare_all([first, later])
    assert len(compare_all([first, later], ("device",))[0].matches) == 2
    assert [found.later.device for found in one.matches] == ["gpu:1"]
    assert len(one.extra) == 1


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


def with_itself(*rows):
    return compared(*((replace(row, batch_size=n),) * 2 for n, row in enumerate(rows)))


def test_the_mean_is_geometric():
    wide = speed(0.01, 0.01, batch_size=64), speed(0.0025, batch_size=64)
    one = compared((speed(0.01, 0.01), speed(0.02, 0.02)), wide)
    assert one.mean.value == pytest.approx(math.sqrt(2))
    assert one.mean.basis == "rounds"


def test_processes_that_are_slow_in_all_rows_stay_in_the_error():
    noise = 0.01 * np.exp([0.1, -0.1, 0.05])
    one = with_itself(speed(*noise), speed(*noise))
    assert one.mean.change.error == pytest.approx(one.matches[0].ratio.change.error)


def test_noise_of_one_row_is_averaged_out():
    rng = np.random.default_rng(0)
    one = with_itself(*(speed(*np.exp(rng.normal(-4, 0.1, 5))) for _ in range(16)))
    errors = [found.change.error for found in one.usable]
    assert one.mean.change.error < sum(errors) / len(errors) / 2


def test_rows_that_do_not_share_processes_have_no_smaller_error_together():
    one = with_itself(speed(0.01, 0.011, 0.012), speed(0.01, 0.011))
    changes = [found.change for found in one.usable]
    assert one.mean.change.error == pytest.approx(sum(each.error for each in changes) / 2)
    assert one.mean.change.df == min(each.df for each in changes)
    assert one.mean.interval.low < 1 < one.mean.interval.high


def test_rows_with_a_problem_are_not_in_the_mean():
    wrong = speed(0.01, batch_size=8), speed(0.001, batch_size=8, problems=(WRONG_ANSWERS,))
    assert match(*wrong).ratio.value == pytest.approx(10)
    assert compared(wrong).mean is None
    assert compared(wrong, (speed(0.01), speed(0.01))).mean.value == 1


def test_intervals_cover_the_truth_with_noise_between_processes():
    # Another spread and another number of processes on each side, as of two machines.
    rng = np.random.default_rng(7)
    firsts = np.exp(rng.normal(-4, 0.01, (1500, 3)))
    laters = np.exp(rng.normal(-4.5, 0.04, (1500, 5)))
    found = [ratio(speed(*a), speed(*b)).interval for a, b in zip(firsts, laters, strict=True)]
    assert 0.935 < np.mean([one.low <= math.exp(0.5) <= one.high for one in found]) < 0.985


# The gate

RULE = RatioRule(0.05)
NOISY = (0.009, 0.010, 0.011)


def judged(*pairs, rule=RULE):
    """Returns the verdict over pairs of rows, each with a batch size of its own."""
    sized = [tuple(replace(side, batch_size=n) for side in pair) for n, pair in enumerate(pairs)]
    return judge_speeds([compared(*sized)], rule)


@pytest.mark.parametrize(("share", "verdict"), [(0.3, "fail"), (0.04, "pass"), (-0.5, "pass")])
def test_a_row_fails_if_it_is_slower_by_the_margin(share, verdict):
    found = judged((speed(*STEADY), slower(share)))
    (row,) = found.rows
    assert found.verdict == row.verdict == verdict
    assert (row.p_margin <= RULE.beta) == (verdict == "pass")
    assert (row.p_slower <= RULE.alpha) == (share > 0)  # 4 % is sure, and small


@pytest.mark.parametrize(
    ("first", "later", "reason"),
    [
        (speed(*NOISY), slower(0.02, NOISY), "about --cnnbench-processes="),
        (speed(0.001, 0.01, 0.1), slower(0.049, (0.001, 0.01, 0.1)), "not even 1000"),
        # More than the larger side has.
        (speed(*NOISY), slower(0.05, NOISY * 40), "--cnnbench-processes=121 would"),
        (speed(*STEADY[:2]), slower(2.0), "2 and 3 processes; a verdict needs 3"),
        (speed(*STEADY), slower(2.0, STEADY[:1]), "with --cnnbench-processes=3"),
        (speed(problems=(OUT_OF_MEMORY,)), speed(*STEADY), "out of memory (first)"),
        (speed(), speed(*STEADY), "no time on one side"),
    ],
)
def test_what_cannot_be_decided_is_inconclusive_and_says_why(first, later, reason):
    found = judged((first, later))
    assert found.verdict == "inconclusive"
    assert reason in found.rows[0].reason


@pytest.mark.parametrize("problem", [OUT_OF_MEMORY, WRONG_ANSWERS])
def test_a_new_problem_fails_however_fast(problem):
    found = judged((speed(*STEADY), slower(-0.9, problems=(problem,))))
    assert (found.verdict, found.rows[0].reason) == ("fail", f"{problem} in the later report")


def test_one_row_that_fails_fails_all():
    good, bad = (speed(*STEADY), slower(0)), (speed(*STEADY), slower(0.5))
    unclear = speed(0.01), speed(0.01)
    assert judged(good, bad, unclear).verdict == "fail"
    assert judged(good, unclear).verdict == "inconclusive"


def test_a_row_that_went_missing_prevents_a_pass_unless_allowed():
    pairs = [(speed(*STEADY), slower(0)), (speed(*STEADY, dtype="int8"), slower(0, device="gpu"))]
    found = judge_speeds([compared(*pairs)], RULE)
    assert (found.verdict, found.unmatched) == ("inconclusive", 1)
    assert judge_speeds([compared(*pairs)], RULE, allow_missing=True).verdict == "pass"
    assert judge_speeds([compared(pairs[1])], RULE, allow_missing=True).verdict == "inconclusive"


def test_p_values_are_those_of_all_rows_of_all_reports_together():
    pair = speed(*STEADY), slower(0.1)
    alone = judged(pair).rows[0].p_slower
    several = judge_speeds([compared(pair)] * 5, RULE)
    assert several.rows[0].p_slower == pytest.approx(min(1, 5 * alone))
    # Which takes more processes.
    noisy = speed(*NOISY), slower(0.2, NOISY)
    assert judged(noisy).rows[0].reason != judged(*[noisy] * 9).rows[0].reason


# Error rates, with noise between processes that is larger than between rounds


def rate(verdict, slowdown, *, rule=RULE, processes=4, rows=3, tries=250):
    """Returns how often drawn rows get a verdict; what a process does, all rows share in part."""
    rng = np.random.default_rng(11)

    def side(shift):
        common = rng.normal(0, 0.01, processes)
        own = rng.normal(0, 0.01, (rows, processes))
        return [speed(*each) for each in np.exp(-4 + shift + 0.6 * common + 0.8 * own)]

    found = [judged(*zip(side(0.0), side(slowdown), strict=True), rule=rule) for _ in range(tries)]
    return sum(one.verdict == verdict for one in found) / tries


def test_false_alarms_are_at_most_as_many_as_stated():
    # A margin of next to nothing, so that the test of "not slower" alone decides.
    assert rate("fail", 0.0, rule=RatioRule(1e-6, alpha=0.05)) <= 0.075  # 0.05 and 1.8 errors


def test_rows_that_are_slower_by_the_margin_pass_at_most_as_often_as_stated():
    assert rate("pass", RULE.log_margin, rows=1, tries=400) <= 0.07


def test_a_slowdown_is_found_and_none_passes():
    assert rate("fail", 0.25, processes=5, tries=50) > 0.9
    assert rate("pass", 0.0, processes=5, tries=50) > 0.9
