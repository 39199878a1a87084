"""Two samples compared: in pairs, or of any distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cnnbench.stats.intervals import LEVEL, Interval

# Relative to the t test on normal samples (Hodges & Lehmann, "The efficiency of some nonparametric
# competitors of the t-test", 1956); on skewed ones ranks win.
EFFICIENCY = 3 / math.pi


@dataclass(frozen=True)
class McNemar:
    """How two classifiers differ on the same pictures.

    `only_first` counts pictures that only the first has right; `p_value` is of "no difference",
    two-sided, and `interval` of the second's accuracy less the first's.
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
    """Compares two classifiers by McNemar's exact test; whether each was right on each picture.

    McNemar (Psychometrika, 1947), exact: given that they differ, who is right is a fair coin. The
    interval is Wald's with Agresti and Min's half a picture added to each cell ("Simple improved
    confidence intervals for comparing matched proportions", 2005).
    """
    lost, won = int((first & ~second).sum()), int((~first & second).sum())
    p_value = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
    n, b, c = len(first) + 2, lost + 0.5, won + 0.5
    error = math.sqrt((b + c) - (c - b) ** 2 / n) / n
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    middle = (c - b) / n
    return McNemar(lost, won, len(first), p_value, Interval(middle - half, middle + half))


def p_lower(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the p value of "the second sample is not lower", by Wilcoxon's rank sum.

    Exact, with ties (Lehmann, "Nonparametrics", 1975, ch. 1.4): given the values that occurred,
    every way to share them between the samples is equally likely if both come from one
    distribution, whatever that is. Samples of 3 and 20 values reach p values of 0.0006.
    """
    # Twice the midranks are whole numbers, so that sums of them can be counted.
    ranks = np.rint(2 * stats.rankdata([*first, *second])).astype(int)
    chosen = len(second)
    observed = int(ranks[len(first) :].sum())
    ways = np.zeros((chosen + 1, observed + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        if rank <= observed:
            ways[1:, rank:] += ways[:-1, : observed + 1 - rank]
    return float(ways[chosen].sum() / math.comb(len(ranks), chosen))


def shift(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval]:
    """Returns by how much the second sample is lower: the median of all differences.

    Hodges & Lehmann (1963); the interval inverts the rank sum test by its normal approximation
    (Hollander, Wolfe & Chicken, "Nonparametric Statistical Methods", 2014, ch. 4).
    """
    differences = np.sort(np.subtract.outer(np.asarray(first), np.asarray(second)).ravel())
    n, m = len(first), len(second)
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    cut = math.floor(n * m / 2 - z * math.sqrt(n * m * (n + m + 1) / 12))
    middle = float(np.median(differences))
    if cut < 1:
        return middle, Interval(-math.inf, math.inf)
    return middle, Interval(float(differences[cut - 1]), float(differences[-cut]))
