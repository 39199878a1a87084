"""Is each variant as good on held-out pictures as it should be?"""

from cnnbench import checks


def test_accuracy(runs, target, judge):
    judge(checks.check_accuracy(runs, target("accuracy")))


def test_better_than_majority(runs, data, judge):
    judge(checks.check_better_than_majority(runs, data))
