"""Does each variant train as a healthy network does?"""

from cnnbench import checks


def test_training_finished(cnnbench_run, judge):
    judge(checks.check_training_finished(cnnbench_run))


def test_initial_loss(runs, data, target, judge):
    judge(checks.check_initial_loss(runs, len(data.classes), target("initial_loss")))


def test_weights_moved(runs, target, judge):
    judge(checks.check_weights_moved(runs, target("weights_moved")))


def test_repeatable_inference(runs, target, judge):
    judge(checks.check_repeatable_inference(runs, target("repeatable_inference")))


def test_dead_units(runs, target, judge):
    judge(checks.check_dead_units(runs, target("dead_units")))


def test_memorization(cnnbench_memorization, target, judge):
    judge(checks.check_memorization(cnnbench_memorization, target("memorization")))


def test_shuffled_labels(cnnbench_shuffled_labels, data, target, judge):
    judge(checks.check_shuffled_labels(cnnbench_shuffled_labels, data, target("shuffled_labels")))
