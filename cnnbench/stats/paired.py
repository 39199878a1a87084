"""Two things measured on the same occasions: pictures, or pairs of processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cnnbench.stats.intervals import Interval


@dataclass(frozen=True)
class McNemar:
    """How two classifiers differ on the same pictures.

    `only_first` pictures only the first has right, `only_second` only the second; `p_value` is
    two-sided; `interval` is that of the second's accuracy less the first's.
    """

    only_first: int
    only_second: int
    pictures: int
    p_value: float
    interval: Interval

    @property
    def difference(self) -> float:
        return (self.only_second - self.only_first) / self.pictures


def mcnemar(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], level: float = 0.95
) -> McNemar:
    """Compares two classifiers on the same pictures by McNemar's exact test.

    McNemar (Psychometrika, 1947), exact: given that they differ, who is right is a fair coin. The
    interval is Wald's with Agresti and Min's half a picture added to each cell ("Simple improved
    confidence intervals for comparing matched proportions", 2005).

    Args:
        first, second: whether each was right on each picture, of shape `(pictures,)`.
        level: of the interval.
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
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    middle = (c - b) / n
    return McNemar(lost, won, len(first), p_value, Interval(middle - half, middle + half))


def hodges_lehmann(values: Sequence[float], level: float = 0.95) -> tuple[float, Interval]:
    """Returns the median of all pairwise means, and its interval.

    Hodges & Lehmann (1963); the interval inverts Wilcoxon's signed-rank test by its exact
    distribution (Hollander, Wolfe & Chicken, "Nonparametric Statistical Methods", 2014, ch. 3).
    Too few values for the level give a boundless interval.

    Args:
        values: a difference each, symmetric around what is sought.
        level: of the interval.
    """
    n = len(values)
    array = np.asarray(values, np.float64)
    rows, columns = np.triu_indices(n)
    walsh = np.sort((array[rows] + array[columns]) / 2)
    middle = float(np.median(walsh))
    cut = _signed_rank_quantile(n, (1 - level) / 2)
    if cut < 1:
        return middle, Interval(-math.inf, math.inf)
    return middle, Interval(float(walsh[cut - 1]), float(walsh[len(walsh) - cut]))


def _signed_rank_quantile(n: int, tail: float) -> int:
    """Returns the largest k with P(T < k) <= tail for Wilcoxon's signed-rank statistic T of n."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1.0
    for rank in range(1, n + 1):
        counts[rank:] += counts[: counts.size - rank].copy()
    below = np.cumsum(counts) / 2.0**n
    return int(np.searchsorted(below, tail, side="right"))
