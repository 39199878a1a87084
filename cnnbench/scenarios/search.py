"""The highest rate of arrivals that holds a bound: bisection of its logarithm. Knows no clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LOWEST_SHARE = 1 / 16  # of the ceiling; below it, the bound is out of reach


@dataclass(frozen=True)
class Search:
    """The highest rate that held the bound in a try (`None`: none did), and how many there were."""

    rate: float | None
    tries: int


def highest_rate(
    holds: Callable[[float], bool], ceiling: float, *, tries: int, step: float
) -> Search:
    """Looks for the highest rate that holds.

    Starts at half the ceiling. A rate that fails is tried once more, since a neighbour's burst on
    a shared machine fails a rate that holds; two fails are believed. What was found is
    the best of many short tries and so leans upwards: confirm it with fresh runs.

    Args:
        holds: tries a rate.
        ceiling: a rate that can't be reached.
        tries: the most of them.
        step: the search ends when the lowest rate that failed is at most so many times the highest
            that held.

    Returns:
        The highest rate that held, and how many tries there were.
    """
    low, high, used = None, ceiling, 0
    while used < tries:
        rate = math.sqrt(low * high) if low else high / 2
        if low is None and rate < ceiling * LOWEST_SHARE:
            break
        used += 1
        held = holds(rate)
        if not held and used < tries:
            used += 1
            held = holds(rate)
        if held:
            low = rate
        else:
            high = rate
        if low and high / low <= step:
            break
    return Search(low, used)
