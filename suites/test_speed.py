"""Can the speeds be believed? The same answers, a timer that waits, tensors where they belong."""

from cnnbench import checks


def test_same_answers(cnnbench_measured, judge_each):
    judge_each(checks.check_same_answers, cnnbench_measured)


def test_timer_waits(cnnbench_measured, judge_each):
    judge_each(checks.check_timer_waits, cnnbench_measured)


def test_placement(cnnbench_measured, judge_each):
    judge_each(checks.check_placement, cnnbench_measured)


def test_flops(cnnbench_measured, judge_each):
    judge_each(checks.check_flops, cnnbench_measured)
