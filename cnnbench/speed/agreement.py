"""The answers that timed programs are compared with, and how far they agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.records.answers import classes_of
from cnnbench.records.measurements import Agreement


def agreement_of(
    probabilities: npt.NDArray[np.floating[Any]],
    reference: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.int64],
) -> Agreement:
    """Compares answers with those of the reference.

    Args:
        probabilities: `(n, 1)` or `(n, classes)`.
        reference: the same of float32 on a CPU.
        labels: int64 `(n,)`, true classes.

    Returns:
        Shares and differences; an answer that is no number is a wrong one, and differs by 1.
    """
    given, known = classes_of(probabilities), classes_of(reference)
    differences = np.abs(probabilities.astype(np.float64) - reference.astype(np.float64))
    differences = np.where(np.isfinite(differences), differences, 1.0)
    return Agreement(
        pictures=len(labels),
        equal_share=float((given == known).mean()),
        probability_difference=float(differences.max()),
        accuracy_difference=float((given == labels).mean() - (known == labels).mean()),
    )
