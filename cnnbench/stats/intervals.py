"""Estimates with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Spread:
    """A standard deviation with the degrees of freedom that it was measured with.

    None at all (`df` 0) says nothing and adds nothing when pooled.
    """

    sd: float = 0.0
    df: float = 0.0

    def pooled(self, other: Spread) -> Spread:
        """Returns the pooled standard deviation of two samples of one variance."""
        df = self.df + other.df
        if df == 0:
            return Spread(math.nan, 0.0)
        return Spread(math.sqrt((self.df * self.sd**2 + other.df * other.sd**2) / df), df)


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and the degrees of freedom of that error."""

    value: float
    error: float
    df: float

    def interval(self, level: float = 0.95) -> Interval:
        """Returns Student's t interval; boundless where no error could be estimated."""
        if not self.df > 0 or math.isnan(self.error):
            return Interval(-math.inf, math.inf)
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.error
        return Interval(self.value - half, self.value + half)

    def p_above(self, null: float) -> float:
        """Returns the p value of "at most `null`": small if the truth is above it."""
        return self._tail(null - self.value)

    def p_below(self, null: float) -> float:
        """Returns the p value of "at least `null`": small if the truth is below it."""
        return self._tail(self.value - null)

    def _tail(self, distance: float) -> float:
        if not self.df > 0 or math.isnan(self.error) or math.isnan(distance):
            return 1.0
        if self.error == 0:
            # Equal values: they say what they say, and a distance of nothing decides nothing.
            return 1.0 if distance >= 0 else 0.0
        return float(stats.t.cdf(distance / self.error, self.df))


def spread_of(values: Sequence[float]) -> Spread:
    """Returns the standard deviation of a sample (divisor n - 1)."""
    n = len(values)
    return Spread(float(np.std(values, ddof=1)), n - 1) if n > 1 else Spread()


def mean_of(values: Sequence[float], known: Spread = Spread()) -> Estimate:
    """Returns the mean with its standard error.

    Args:
        values: a sample, one value a seed.
        known: a standard deviation from earlier samples of the same recipe, pooled with
            this one's; it is what lets three seeds decide.
    """
    pooled = spread_of(values).pooled(known)
    return Estimate(float(np.mean(values)), pooled.sd / math.sqrt(len(values)), pooled.df)


def difference_of(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Returns the mean of `first` less that of `second`, by Student's pooled two-sample t.

    Pooled and not Welch's: without a change both samples have one variance, and three new
    seeds alone know next to nothing about theirs.
    """
    pooled = spread_of(first).pooled(spread_of(second))
    error = pooled.sd * math.sqrt(1 / len(first) + 1 / len(second))
    return Estimate(float(np.mean(first) - np.mean(second)), error, pooled.df)


def picture_error(correct: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Returns what drawing other held-out pictures adds to the variance of the mean accuracy.

    Args:
        correct: whether each seed was right on each picture, of shape `(seeds, pictures)`.

    Returns:
        The variance, and its degrees of freedom (pictures less one).

    Pictures and seeds are crossed. With a variance between pictures `P`, between seeds `S`
    and of their interaction `I`, the mean over all has variance `P/N + S/n + I/(nN)`. The
    variance of seeds' accuracies over n is already `S/n + I/(nN)`; what is missing is `P/N`, the
    variance of pictures' means over N less `I/(nN)` (two-way random effects, Searle,
    Casella & McCulloch, "Variance Components", 1992, ch. 4). With one seed `P` and `I` can't
    be told apart and the binomial variance `a(1 - a)/N` is returned.
    """
    seeds, pictures = correct.shape
    if pictures < 2:
        return math.nan, 0.0
    means = correct.mean(axis=0)
    total = float(means.var(ddof=1)) / pictures
    if seeds == 1:
        return total, pictures - 1
    residual = correct - means - correct.mean(axis=1, keepdims=True) + correct.mean()
    interaction = float((residual**2).sum()) / ((seeds - 1) * (pictures - 1))
    return max(0.0, total - interaction / (seeds * pictures)), pictures - 1


def widened(estimate: Estimate, variance: float, df: float) -> Estimate:
    """Returns the estimate with an independent error added.

    The degrees of freedom are Satterthwaite's ("An approximate distribution of estimates of
    variance components", 1946).
    """
    if math.isnan(estimate.error) or not estimate.df > 0:
        return estimate
    own = estimate.error**2
    total = own + variance
    if total == 0:
        return estimate
    together = total**2 / (own**2 / estimate.df + (variance**2 / df if df else 0.0))
    return Estimate(estimate.value, math.sqrt(total), together)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Returns the exact interval of a share (Clopper & Pearson, 1934)."""
    exact = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    return Interval(float(exact.low), float(exact.high))
