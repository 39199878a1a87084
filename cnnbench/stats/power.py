"""What a test of a number of values can find, and how many values would decide it."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache

from scipy import optimize, special, stats

MOST = 1000  # values: where to stop looking for how many would decide


def smallest_difference(
    sd: float, first: int, second: int, alpha: float, power: float = 0.9
) -> float:
    """Returns the difference of two means that a one-sided pooled t test finds with `power`.

    By the noncentral t distribution (Cohen, "Statistical Power Analysis", 1988); `first` and
    `second` values with the standard deviation `sd`.
    """
    df = first + second - 2
    if df < 1 or math.isnan(sd):
        return math.inf
    return sd * math.sqrt(1 / first + 1 / second) * _noncentrality(df, alpha, power)


@lru_cache(maxsize=4096)
def _noncentrality(df: float, alpha: float, power: float) -> float:
    critical = -float(special.stdtrit(df, alpha))

    def missing(shift: float) -> float:
        return float(stats.nct.sf(critical, df, shift)) - power

    high = critical + 10
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 0.0, high))


def values_needed(distance: float, sd: float, alpha: float, *, floor: float = 0.0) -> int | None:
    """Returns how many values would decide at a one-sided level, if what is observed is the truth.

    `distance` is that of the mean from its threshold, `sd` of one value, and `floor` an error that
    more values do not lower (that of the pictures, say). `None` if even `MOST` would not do.
    """

    def decided(n: int) -> bool:
        error = math.sqrt(sd**2 / n + floor**2)
        return abs(distance) >= -float(special.stdtrit(n - 1, alpha)) * error

    if distance == 0 or not decided(MOST):  # nor does NaN decide
        return None
    numbers = range(2, MOST + 1)
    return numbers[bisect_left(numbers, True, key=decided)]
