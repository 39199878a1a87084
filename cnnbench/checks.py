"""The checks of the suites as functions: each takes records and returns a `CheckResult`."""

from cnnbench.verdicts.checks.pictures import check_class_balance as check_class_balance
from cnnbench.verdicts.checks.pictures import check_held_out as check_held_out
from cnnbench.verdicts.checks.pictures import check_near_duplicates as check_near_duplicates
from cnnbench.verdicts.checks.speed import check_flops as check_flops
from cnnbench.verdicts.checks.speed import check_placement as check_placement
from cnnbench.verdicts.checks.speed import check_same_answers as check_same_answers
from cnnbench.verdicts.checks.speed import check_timer_waits as check_timer_waits
from cnnbench.verdicts.checks.training import (
    check_better_than_majority as check_better_than_majority,
)
from cnnbench.verdicts.checks.training import check_dead_units as check_dead_units
from cnnbench.verdicts.checks.training import check_initial_loss as check_initial_loss
from cnnbench.verdicts.checks.training import check_memorization as check_memorization
from cnnbench.verdicts.checks.training import (
    check_repeatable_inference as check_repeatable_inference,
)
from cnnbench.verdicts.checks.training import check_shuffled_labels as check_shuffled_labels
from cnnbench.verdicts.checks.training import check_training_finished as check_training_finished
from cnnbench.verdicts.checks.training import check_weights_moved as check_weights_moved

__all__ = sorted(name for name in globals() if name.startswith("check_"))
