"""Is each variant as good on held-out pictures as it should be?"""

from cnnbench import checks


def test_accuracy(cnnbench_accuracy, judge):
    judge(cnnbench_accuracy)


def test_train_accuracy(cnnbench_train_accuracy, judge):
    judge(cnnbench_train_accuracy)


def test_accuracy_drop(cnnbench_accuracy_drop, judge):
    judge(cnnbench_accuracy_drop)


def test_better_than_majority(runs, data, judge):
    judge(checks.check_better_than_majority(runs, data))
