"""Estimates with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special, stats

LEVEL = 0.95  # of every interval
ROUNDING = 1e-9  # below it a standard deviation is that of equal values
# The points are sinh of even steps: a t distribution of 1 degree of freedom has far tails.
_STEP = 0.05
_STEPS = np.arange(-400, 401) * _STEP
_POINTS = np.sinh(_STEPS)

Part = tuple[float, float]  # a standard error and its degrees of freedom


@dataclass(frozen=True)
class Interval:
    """A confidence interval; its text is that of accuracies."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"95 % interval {self.low:.4f} to {self.high:.4f}"

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Spread:
    """A standard deviation and its degrees of freedom; with none (0) it adds nothing if pooled."""

    sd: float = 0.0
    df: float = 0.0

    def pooled(self, other: Spread) -> Spread:
        """Returns the pooled standard deviation of two samples of one variance."""
        df = self.df + other.df
        if df == 0:
            return Spread(math.nan, 0.0)
        return Spread(math.sqrt((self.df * self.sd**2 + other.df * other.sd**2) / df), df)

    def interval(self) -> Interval:
        """Returns the interval of a normal sample's standard deviation, by chi-square."""
        if not self.df > 0:
            return Interval(0.0, math.inf)
        bounds = stats.chi2.ppf(((1 + LEVEL) / 2, (1 - LEVEL) / 2), self.df)
        low, high = (self.sd * math.sqrt(self.df / float(bound)) for bound in bounds)
        return Interval(low, high)


UNKNOWN = Spread()


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and the degrees of freedom of that error.

    `parts` are the two independent ones of a sum of errors: p values need both.
    """

    value: float
    error: float
    df: float
    parts: tuple[Part, Part] | None = None

    def interval(self) -> Interval:
        """Returns Student's t interval; boundless where no error could be estimated."""
        if not self.df > 0 or math.isnan(self.error):
            return Interval(-math.inf, math.inf)
        half = float(special.stdtrit(self.df, (1 + LEVEL) / 2)) * self.error
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
            # Equal values are sure of every distance but none.
            return 1.0 if distance >= 0 else 0.0
        if self.parts is not None:
            return behrens_fisher(-distance, *self.parts)
        return float(special.stdtr(self.df, distance / self.error))


def behrens_fisher(distance: float, first: Part, second: Part) -> float:
    """Returns the chance that the sum of two scaled t variables is above `distance`.

    One degree of freedom for the sum (Satterthwaite, 1946) is wrong in the tails: with 3 seeds,
    tests at 1 % and 0.1 % reject what is true up to 2.4 and 10 times as often as they say. The
    distribution of Behrens (1929) and Fisher ("The fiducial argument in statistical inference",
    1935) never rejects more often than it says (Robinson, "Properties of Student's t and of the
    Behrens-Fisher solution", 1976).
    """
    (small, small_df), (large, large_df) = sorted((first, second))
    beyond = special.stdtr(large_df, (small * _POINTS - distance) / large)
    return min(1.0, float(_weights(small_df) @ beyond))


@lru_cache(maxsize=256)
def _weights(df: float) -> npt.NDArray[np.float64]:
    weights: npt.NDArray[np.float64] = stats.t.pdf(_POINTS, df) * np.cosh(_STEPS) * _STEP
    return weights


def spread_of(values: Sequence[float]) -> Spread:
    """Returns the standard deviation of a sample (divisor n - 1)."""
    n = len(values)
    return Spread(float(np.std(values, ddof=1)), n - 1) if n > 1 else Spread()


def mean_of(values: Sequence[float], known: Spread = UNKNOWN, least: float = 0.0) -> Estimate:
    """Returns the mean with its standard error; a `known` spread of earlier samples is pooled.

    Values that are all alike have the standard deviation `least`: few are no proof that all are.
    """
    pooled = spread_of(values).pooled(known)
    sd = least if least and pooled.sd < ROUNDING else pooled.sd
    return Estimate(float(np.mean(values)), sd / math.sqrt(len(values)), pooled.df)


def difference_of(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Returns the mean of `first` less that of `second`, by Student's pooled two-sample t.

    Pooled and not Welch's: three new seeds alone know next to nothing about their variance.
    """
    pooled = spread_of(first).pooled(spread_of(second))
    error = pooled.sd * math.sqrt(1 / len(first) + 1 / len(second))
    return Estimate(float(np.mean(first) - np.mean(second)), error, pooled.df)


def picture_error(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Returns what drawing other pictures adds to the variance of a mean accuracy, and its df.

    Or of the difference of two; each recipe has a row a seed and a column a picture. With variances
    between pictures `P`, between seeds `S` and of their interaction `I`, the mean of `n` seeds on
    `N` pictures has `P/N + S/n + I/(nN)`. That of seeds' accuracies over `n` is `S/n + I/(nN)`;
    `P/N`, which is missing, is the variance of pictures' means over `N` less `I/(nN)` (Searle,
    Casella & McCulloch, "Variance Components", 1992, ch. 4).
    """
    pictures = first.shape[1]
    if pictures < 2:
        return math.nan, 0.0
    means, own = first.mean(axis=0), _interaction(first)
    if second is not None:
        means, own = means - second.mean(axis=0), own + _interaction(second)
    return max(0.0, float(means.var(ddof=1)) / pictures - own), pictures - 1


def _interaction(correct: npt.NDArray[np.bool_]) -> float:
    """Returns `I/(nN)`, 0 where one seed hides it."""
    seeds, pictures = correct.shape
    rows, columns = correct.mean(axis=1, keepdims=True), correct.mean(axis=0)
    residual = correct - columns - rows + correct.mean()
    variance = (residual**2).sum() / (max(1, seeds - 1) * (pictures - 1))
    return float(variance / (seeds * pictures))


def widened(estimate: Estimate, variance: float, df: float) -> Estimate:
    """Returns the estimate with an independent error added.

    The reciprocal of its degrees of freedom is the mean of the parts' reciprocals, by their shares
    of the variance. Satterthwaite (1946) weighs by the squares of these shares, and three seeds'
    intervals of 95 % then cover 92 %; so weighed they cover 94 to 96 %.
    """
    if variance == 0 or not estimate.df > 0:
        return estimate
    if not df > 0:
        return Estimate(estimate.value, math.nan, 0.0)
    own, error = estimate.error**2, math.sqrt(variance)
    if own == 0:
        return Estimate(estimate.value, error, df)
    total = own + variance
    together = total / (own / estimate.df + variance / df)
    parts = ((estimate.error, estimate.df), (error, df))
    return Estimate(estimate.value, math.sqrt(total), together, parts)


def clopper_pearson(successes: int, trials: int) -> Interval:
    """Returns the exact interval of a share (Clopper & Pearson, 1934)."""
    exact = stats.binomtest(successes, trials).proportion_ci(LEVEL, method="exact")
    return Interval(float(exact.low), float(exact.high))
