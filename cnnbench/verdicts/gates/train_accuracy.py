"""The rule of the gate on training accuracy: does the recipe still fit its own training set?"""

from __future__ import annotations

from dataclasses import dataclass

from cnnbench.stats.intervals import UNKNOWN, Spread, mean_of
from cnnbench.verdicts.gates.answers import Labels, Runs
from cnnbench.verdicts.gates.evidence import Evidence, Levels, advice, between, mean_sd


@dataclass(frozen=True)
class TrainAccuracyTarget:
    """Is the mean training accuracy over seeds at least the target?

    Wrong labels in the training set are seen here first: what is not learnt by heart answers such
    pictures as it answers others, and each counts as an error, long before the held-out
    accuracy suffers. Training pictures are all there are: seeds are the only source of chance.

    Args:
        target: share of training pictures, with the final weights in inference mode.
        known: seeds' standard deviation from earlier runs, pooled with these runs'.
    """

    target: float
    known: Spread = UNKNOWN
    check: str = "train_accuracy"

    def evidence(self, runs: Runs, labels: Labels, levels: Levels) -> Evidence:
        values = [run.train_accuracy for run in runs]
        estimate = mean_of(values, self.known)
        return Evidence(
            observed=estimate.value,
            threshold=self.target,
            interval=estimate.interval(),
            p_fail=estimate.p_below(self.target),
            p_pass=estimate.p_above(self.target),
            detail=f"training accuracy {mean_sd(values)}, {between(estimate.interval())}; target "
            f"at least {self.target:.4f}. Wrong labels among the training pictures lower it",
            advice=advice(estimate, self.target, len(values), levels, good=1),
        )
