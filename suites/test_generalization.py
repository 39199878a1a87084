"""Does each variant know the held-out pictures about as well as those it was trained on?"""


def test_generalization_gap(cnnbench_generalization_gap, judge):
    judge(cnnbench_generalization_gap)


def test_validation_loss_rise(cnnbench_validation_loss_rise, judge):
    judge(cnnbench_validation_loss_rise)
