"""The checks of the suites as functions: each takes records and returns a `CheckResult`."""

from cnnbench.verdicts.checks.pictures import (
    check_class_balance,
    check_held_out,
    check_near_duplicates,
)
from cnnbench.verdicts.checks.speed import (
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)
from cnnbench.verdicts.checks.training import (
    check_better_than_majority,
    check_dead_units,
    check_initial_loss,
    check_memorization,
    check_repeatable_inference,
    check_shuffled_labels,
    check_training_finished,
    check_weights_moved,
)

__all__ = [
    "check_better_than_majority",
    "check_class_balance",
    "check_dead_units",
    "check_flops",
    "check_held_out",
    "check_initial_loss",
    "check_memorization",
    "check_near_duplicates",
    "check_placement",
    "check_repeatable_inference",
    "check_same_answers",
    "check_shuffled_labels",
    "check_timer_waits",
    "check_training_finished",
    "check_weights_moved",
]
