"""How many queries a percentile of latency needs: MLPerf's statistics. Numbers in, numbers out.

Source: "MLPerf Inference Rules" (mlcommons/inference_policies, inference_rules.adoc), section
"Scenarios" for fixed counts and appendix "Early Stopping Criterion"; LoadGen's implementation is
mlcommons/inference, loadgen/early_stopping.cc and results.cc, with a tolerance of 0 as here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from cnnbench.scenarios.settings import CONFIDENCE

ROUNDING = 2**13


def fixed_queries(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Returns how many queries tell a percentile with a margin of a twentieth of the tail.

    `n = z² p (1 - p) / m²` with the margin `m = (1 - p) / 20` and `z` the normal quantile of a
    two-sided interval: 23,886 for the 90th and 262,742 for the 99th percentile at 99 %.

    Args:
        percentile: share of the queries that are answered in time, such as 0.99.
        confidence: of the interval.

    Raises:
        ValueError: if a share is not between 0 and 1.
    """
    _check(percentile, confidence)
    z = float(special.ndtri((1 + confidence) / 2))
    margin = (1 - percentile) / 20
    return round(
        z**2 * percentile * (1 - percentile) / margin**2
    )  # to the nearest, as the rules do


def rounded_queries(percentile: float, confidence: float = CONFIDENCE) -> int:
    """Returns `fixed_queries` rounded up to a multiple of 2^13, as the rules suggest."""
    return math.ceil(fixed_queries(percentile, confidence) / ROUNDING) * ROUNDING


def queries_in_time(late: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """Returns how many queries must be in time beside `late` ones.

    The smallest `h` with `I(p; h, t + 1) <= 1 - c`: a system that is in time with probability `p`
    only would have at most `t` late ones among `h + t` so seldom. `I` is the regularized incomplete
    beta function, which is the distribution function of the binomial.

    Args:
        late: number `t` of queries over the bound.
        percentile: share `p` of the queries that must be in time.
        confidence: `c`.

    Raises:
        ValueError: if a share is not between 0 and 1 or `late` is negative.
    """
    _check(percentile, confidence)
    if late < 0:
        raise ValueError(f"Expected a count of late queries of at least 0. Received: late={late}")
    high = 1
    while not _enough(high, late, percentile, confidence):
        high *= 2
    low = high // 2  # not enough, or nothing
    while high - low > 1:
        middle = (low + high) // 2
        if _enough(middle, late, percentile, confidence):
            high = middle
        else:
            low = middle
    return high


def late_allowed(queries: int, percentile: float, confidence: float = CONFIDENCE) -> int | None:
    """Returns how many of `queries` may be late: `None` where so few allow not even none."""
    _check(percentile, confidence)
    if not _enough(queries, 0, percentile, confidence):
        return None
    low, high = 0, queries  # allowed, and not
    while high - low > 1:
        middle = (low + high) // 2
        if _enough(queries - middle, middle, percentile, confidence):
            low = middle
        else:
            high = middle
    return low


def percentile_bound(
    latencies: Sequence[float], percentile: float, confidence: float = CONFIDENCE
) -> float | None:
    """Returns an upper bound of a percentile of latency, by the rule for single-stream.

    With `t` the most queries that may be late, the `t - 1` longest latencies are discarded and the
    longest of the rest is the bound: it is an estimate with a penalty for few queries.

    Args:
        latencies: seconds, in any order.
        percentile: such as 0.9.
        confidence: that the percentile is not above.

    Returns:
        Seconds, or `None` where so few queries allow no late one.
    """
    late = late_allowed(len(latencies), percentile, confidence)
    return float(np.sort(latencies)[len(latencies) - late]) if late else None


def nearest_rank(latencies: Sequence[float], percentile: float) -> float:
    """Returns the smallest latency that a share of `percentile` of them does not exceed.

    LoadGen takes the one after it where `n p` is a whole number (`sorted[int(n * p)]`).

    Raises:
        ValueError: if there are no latencies, or the share is not between 0 and 1.
    """
    _check(percentile, CONFIDENCE)
    if len(latencies) == 0:
        raise ValueError("Expected at least one latency. Received: latencies=()")
    # In floats, 100 times 0.55 is a little above 55: the rank is 55 and not 56.
    rank = math.ceil(round(len(latencies) * percentile, 9))
    return float(np.sort(latencies)[max(rank, 1) - 1])


def _enough(in_time: int, late: int, percentile: float, confidence: float) -> bool:
    if in_time < 1:
        return False
    return bool(special.betainc(in_time, late + 1, percentile) <= 1 - confidence)


def _check(percentile: float, confidence: float) -> None:
    for name, value in (("percentile", percentile), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ValueError(f"Expected a share between 0 and 1. Received: {name}={value}")
