"""Does each variant know the held-out pictures about as well as those it was trained on?"""

from cnnbench import checks


def test_overfitting(runs, target, judge):
    judge(checks.check_generalization_gap(runs, target("generalization_gap")))


def test_validation_loss(runs, target, judge):
    judge(checks.check_validation_loss_rise(runs, target("validation_loss_rise")))
