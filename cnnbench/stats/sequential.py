"""Error rates held by many tests: over looks at data that grow, and in a family.

A group-sequential test by alpha spending in proportion to the data: Lan & DeMets, "Discrete
sequential boundaries for clinical trials" (Biometrika, 1983).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

# Successive t statistics of few values depend less on each other than a Brownian motion's: in
# simulations of 2 to 30 values at levels from 0.0005 to 0.05 up to 1.19 times the error was spent.
STUDENT = 1.2
_POINTS = 401
_FAR = 8.0  # standard deviations; beyond is nothing
_LEVELS = np.geomspace(1e-8, 0.5, 48)


def nominal_levels(alpha: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the one-sided level at which each look may reject, for t tests of few values too.

    `shares` are those of the planned data that each look sees. Nominal levels let t tests of few
    values be used ("significance level approach", Jennison & Turnbull, "Group Sequential Methods",
    2000, ch. 3.8 and 4.4); stopping early, for whatever reason, only leaves error unspent.
    """
    return gaussian_levels(alpha / (STUDENT if len(shares) > 1 else 1.0), shares)


@lru_cache(maxsize=4096)
def gaussian_levels(alpha: float, shares: tuple[float, ...]) -> tuple[float, ...]:
    """Returns what `nominal_levels` does, for sums of normal values.

    By numerical integration over what has not been rejected yet (Armitage, McPherson & Rowe,
    "Repeated significance tests on accumulating data", 1969).
    """
    if not shares or any(b <= a for a, b in zip((0.0, *shares), shares, strict=False)):
        raise ValueError(f"Expected growing shares above 0. Received: shares={shares}")
    levels = []
    places, mass, before = np.zeros(1), np.ones(1), 0.0
    for share in shares:
        step, scale = math.sqrt(share - before), math.sqrt(share)
        bound = _bound(places, mass, step, alpha * (share - before), _FAR * scale)
        levels.append(float(stats.norm.sf(bound / scale)))
        points, width = np.linspace(-_FAR * scale, bound, _POINTS, retstep=True)
        mass = width * stats.norm.pdf((points[:, None] - places) / step) @ mass / step
        mass[[0, -1]] /= 2  # the trapezoidal rule
        places, before = points, share
    return tuple(levels)


def _bound(
    places: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    step: float,
    allowed: float,
    far: float,
) -> float:
    """Returns the boundary that is first crossed at this look with probability `allowed`."""

    def excess(bound: float) -> float:
        crossing = float(mass @ special.ndtr((places - bound) / step))
        return math.log(max(crossing, 1e-300) / allowed)

    return float(optimize.brentq(excess, -far, far))


def sequential_p_value(p_values: Sequence[float], shares: tuple[float, ...]) -> float:
    """Returns the smallest error rate at which one of the looks so far would have rejected.

    It is a p value whenever one stops (Liu & Anderson, "On adaptive extensions of group sequential
    trials", JASA, 2008), and so can enter Holm's procedure.
    """
    if len(shares) == 1 and p_values:
        return float(p_values[0])
    smallest = 1.0
    for look, p_value in enumerate(p_values):
        column = _table(shares)[:, look]
        if p_value <= column[0]:
            found = float(_LEVELS[0]) if p_value > 0 else 0.0
        elif p_value > column[-1]:
            found = 1.0
        else:
            found = math.exp(float(np.interp(math.log(p_value), np.log(column), np.log(_LEVELS))))
        smallest = min(smallest, found)
    return smallest


@lru_cache(maxsize=64)
def _table(shares: tuple[float, ...]) -> npt.NDArray[np.float64]:
    return np.array([nominal_levels(float(alpha), shares) for alpha in _LEVELS])


def look_plan(first: int, most: int) -> tuple[int, ...]:
    """Returns how many values each look sees: `first`, then half as many again, up to `most`."""
    looks = [first]
    while looks[-1] < most:
        looks.append(min(most, max(looks[-1] + 1, math.ceil(looks[-1] * 1.5))))
    return tuple(looks)


def shares_of(looks: Sequence[int]) -> tuple[float, ...]:
    """Returns the share of the planned data that each look sees."""
    return tuple(look / looks[-1] for look in looks)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns p values adjusted for the family, in their order.

    Rejecting those of at most alpha rejects any true hypothesis with at most that chance, however
    the tests depend on each other (Holm, "A simple sequentially rejective multiple test
    procedure", 1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, so_far = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = so_far
    return tuple(adjusted)
