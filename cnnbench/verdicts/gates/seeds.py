"""TODO docstring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from cnnbench.stats.intervals import Estimate
from cnnbench.verdicts.gates.answers import Labels, Runs, collapsed_seeds

POWER = 0.9


ROUNDING = 1e-9  # below it a standard deviation is that of equal values


def least_sd(accuracies: Sequence[float], pictures: int) -> float:
    """Returns the standard deviation over seeds below which no training gets, sqrt(err / 2n).

    Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
    Distributions" (arXiv 2304.01910), for `n` held-out pictures; the share of wrong answers is
    smoothed (Laplace), so that no wrong answer at all is not taken for a proof that there are none.
    """
    wrong = (1 - fmean(accuracies)) * pictures
    return math.sqrt((wrong + 1) / (pictures + 2) / (2 * pictures))


def _spread_out(estimate: Estimate, error: float) -> Estimate:
    """Returns the estimate, with this standard error if its values were all alike."""
    return replace(estimate, error=error) if estimate.error < ROUNDING else estimate


def _living(runs: Runs, labels: Labels) -> tuple[Runs, list[int]]:
    """Returns the runs that did not collapse, or all where all did, and the seeds that did."""
    dead = collapsed_seeds(runs, labels)
    return [run for run in runs if run.seed not in dead] or runs, dead


def _named(dead: Sequence[int], runs: Runs) -> str:
    if not dead:
        return ""
    accuracies = [f"{run.val_accuracy:.4f}" for run in runs if run.seed in dead]
    return (
        f"; collapsed: {len(dead)} of {len(runs)} seeds, {list(dead)}, with accuracy "
        f"{', '.join(accuracies)}, left out of the mean"
    )
