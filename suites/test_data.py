"""Are the pictures fit to be trained on and judged by?"""

from cnnbench import checks


def test_held_out(cnnbench_held_out, judge):
    judge(checks.check_held_out(cnnbench_held_out))


def test_near_duplicates(cnnbench_near_duplicates, judge):
    judge(checks.check_near_duplicates(cnnbench_near_duplicates))


def test_class_balance(data, target, judge):
    judge(checks.check_class_balance(data, target("class_balance")))
