"""Two things measured on the same occasions: pictures, or pairs of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cnnbench.stats.intervals import LEVEL, Interval


@dataclass(frozen=True)
class McNemar:
    """How two classifiers differ on the same pictures.

    Args:
        only_first: pictures that only the first has right.
        only_second: those that only the second has right.
        pictures: number of all.
        p_value: of "no difference", two-sided.
        interval: of the second's accuracy less the first's.
    """

    only_first: int
    only_second: int
    pictures: int
    p_value: float
    interval: Interval

    @property
    def difference(self) -> float:
        return (self.only_second - self.only_first) / self.pictures


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Compares two classifiers on the same pictures by McNemar's exact test.

    McNemar (Psychometrika, 1947), exact: given that they differ, who is right is a fair coin. The
    interval is Wald's with Agresti and Min's half a picture added to each cell ("Simple improved
    confidence intervals for comparing matched proportions", 2005).

    Args:
        first, second: whether each was right on each picture, of shape `(pictures,)`.

    Raises:
        ValueError: if they were not asked the same questions.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            "Expected two arrays of one length, an entry a picture. "
            f"Received: shapes={first.shape}, {second.shape}"
        )
    lost, won = int((first & ~second).sum()), int((~first & second).sum())
    p_value = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    n, b, c = len(first) + 2, lost + 0.5, won + 0.5
    error = math.sqrt((b + c) - (c - b) ** 2 / n) / n
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    middle = (c - b) / n
    return McNemar(lost, won, len(first), p_value, Interval(middle - half, middle + half))


def hodges_lehmann(values: Sequence[float]) -> tuple[float, Interval]:
    """Returns the median of all pairwise means, and its interval.

    Hodges & Lehmann (1963); the interval inverts Wilcoxon's signed-rank test by its exact
    distribution (Hollander, Wolfe & Chicken, "Nonparametric Statistical Methods", 2014, ch. 3).
    Fewer than six values give a boundless interval.

    Args:
        values: a difference each, symmetric around what is sought.
    """
    n = len(values)
    array = np.asarray(values, np.float64)
    rows, columns = np.triu_indices(n)
    walsh = np.sort((array[rows] + array[columns]) / 2)
    middle = float(np.median(walsh))
    # The largest k with P(T < k) <= (1 - LEVEL) / 2 for Wilcoxon's signed-rank statistic T.
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1.0
    for rank in range(1, n + 1):
        counts[rank:] += counts[: counts.size - rank].copy()
    below = np.cumsum(counts) / 2.0**n
    cut = int(np.searchsorted(below, (1 - LEVEL) / 2, side="right"))
    if cut < 1:
        return middle, Interval(-math.inf, math.inf)
    return middle, Interval(float(walsh[cut - 1]), float(walsh[-cut]))
