"""Can the speeds be believed? The same answers, a timer that waits, tensors where they belong."""

from cnnbench.verdicts.checks.speed import (
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)


def test_same_answers(cnnbench_measured, judge_each):
    judge_each(check_same_answers, cnnbench_measured)


def test_timer_waits(cnnbench_measured, judge_each):
    judge_each(check_timer_waits, cnnbench_measured)


def test_placement(cnnbench_measured, judge_each):
    judge_each(check_placement, cnnbench_measured)


def test_flops(cnnbench_measured, judge_each):
    judge_each(check_flops, cnnbench_measured)
