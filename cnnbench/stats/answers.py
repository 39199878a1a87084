"""Which class a network answered."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def classes_of(probabilities: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Returns the class of each row, of the second class or of every class; -1 for no number."""
    if probabilities.shape[1] == 1:
        found = (probabilities[:, 0] > 0.5).astype(np.int64)
    else:
        found = probabilities.argmax(axis=1)
    return np.where(np.isfinite(probabilities).all(axis=1), found, -1)
