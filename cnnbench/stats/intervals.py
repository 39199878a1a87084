"""Estimates with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from cnnbench.stats import behrens_fisher

LEVEL = 0.95  # of every interval


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
    """A standard deviation and its degrees of freedom; with none (0) it adds nothing if pooled."""

    sd: float = 0.0
    df: float = 0.0

    def pooled(self, other: Spread) -> Spread:
        """Returns the pooled standard deviation of two samples of one variance."""
        df = self.df + other.df
        if df == 0:
            return Spread(math.nan, 0.0)
        return Spread(math.sqrt((self.df * self.sd**2 + other.df * other.sd**2) / df), df)


UNKNOWN = Spread()


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error and the degrees of freedom of that error.

    Where the error has two independent parts, `parts` has the standard error and the degrees of
    freedom of each, since p values need more than one `df`.
    """

    value: float
    error: float
    df: float
    parts: tuple[tuple[float, float], tuple[float, float]] | None = None

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
            return behrens_fisher.tail(-distance, *self.parts)
        return float(special.stdtr(self.df, distance / self.error))


def spread_of(values: Sequence[float]) -> Spread:
    """Returns the standard deviation of a sample (divisor n - 1)."""
    n = len(values)
    return Spread(float(np.std(values, ddof=1)), n - 1) if n > 1 else Spread()


def mean_of(values: Sequence[float], known: Spread = UNKNOWN) -> Estimate:
    """Returns the mean with its standard error; a `known` spread of earlier samples is pooled."""
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


def picture_error(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Returns what drawing other held-out pictures adds to the variance of a mean accuracy.

    Pictures and seeds are crossed. With a variance between pictures `P`, between seeds `S`
    and of their interaction `I`, the mean over all has variance `P/N + S/n + I/(nN)`. The
    variance of seeds' accuracies over n is already `S/n + I/(nN)`; what is missing is `P/N`, the
    variance of pictures' means over N less `I/(nN)` (Searle, Casella & McCulloch, "Variance
    Components", 1992, ch. 4). With one seed it is the variance of pictures' means.

    Args:
        first: whether each seed was right on each picture, of shape `(seeds, pictures)`.
        second: the same of another recipe's seeds on the same pictures; then it is the variance
            of the difference of the two mean accuracies.

    Returns:
        The variance, and its degrees of freedom (pictures less one).

    Raises:
        ValueError: if the recipes answered different numbers of pictures.
    """
    groups = [first] if second is None else [first, second]
    pictures = first.shape[1]
    if any(group.shape[1] != pictures for group in groups):
        raise ValueError(
            "Expected two recipes' answers to the same pictures. "
            f"Received: shapes={tuple(group.shape for group in groups)}"
        )
    if pictures < 2:
        return math.nan, 0.0
    means = groups[0].mean(axis=0) - (groups[1].mean(axis=0) if second is not None else 0.0)
    total = float(means.var(ddof=1)) / pictures
    own = sum(_interaction(group) / (group.shape[0] * pictures) for group in groups)
    return max(0.0, total - own), pictures - 1


def _interaction(correct: npt.NDArray[np.bool_]) -> float:
    """Returns the variance of the interaction of seeds and pictures: 0 where one seed hides it."""
    seeds, pictures = correct.shape
    if seeds == 1:
        return 0.0
    rows, columns = correct.mean(axis=1, keepdims=True), correct.mean(axis=0)
    residual = correct - columns - rows + correct.mean()
    total: float = (residual**2).sum() / ((seeds - 1) * (pictures - 1))
    return float(total)


def widened(estimate: Estimate, variance: float, df: float) -> Estimate:
    """Returns the estimate with an independent error added.

    The reciprocal of its degrees of freedom is the mean of the parts' reciprocals, by their
    shares of the variance. Satterthwaite (1946) weighs by the squares of these shares, and three
    seeds' intervals of 95 % then cover 92 %; so weighed they cover 94 to 96 %. p values are those
    of `behrens_fisher`.
    """
    if math.isnan(estimate.error) or not estimate.df > 0:
        return estimate
    if not df > 0 or math.isnan(variance):
        return Estimate(estimate.value, math.nan, 0.0)
    if variance == 0:
        return estimate
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
