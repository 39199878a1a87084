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
_Array = npt.NDArray[np.float64]
_POINTS = 401
_FAR = 8.0  # standard deviations; beyond is nothing
_LEVELS = np.geomspace(1e-8, 0.5, 48)


@lru_cache(maxsize=4096)
def nominal_levels(alpha: float, looks: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the one-sided level at which each look may reject, for t tests of few values too.

    `looks` are the numbers of values that they see. Nominal levels let t tests of few values be
    used ("significance level approach", Jennison & Turnbull, "Group Sequential Methods", 2000, ch.
    3.8 and 4.4); stopping early, for whatever reason, only leaves error unspent. By numerical
    integration over what has not been rejected yet (Armitage, McPherson & Rowe, "Repeated
    significance tests on accumulating data", 1969).
    """
    spent = alpha / (STUDENT if len(looks) > 1 else 1.0)
    levels = []
    places, mass, before = np.zeros(1), np.ones(1), 0.0
    for share in (look / looks[-1] for look in looks):
        step, scale = math.sqrt(share - before), math.sqrt(share)
        known = (places, mass, step, spent * (share - before))
        bound = float(optimize.brentq(_excess, -_FAR * scale, _FAR * scale, known))
        levels.append(float(stats.norm.sf(bound / scale)))
        points, width = np.linspace(-_FAR * scale, bound, _POINTS, retstep=True)
        mass = width * stats.norm.pdf((points[:, None] - places) / step) @ mass / step
        mass[[0, -1]] /= 2  # the trapezoidal rule
        places, before = points, share
    return tuple(levels)


def _excess(bound: float, places: _Array, mass: _Array, step: float, allowed: float) -> float:
    """Returns by how much a boundary is crossed more often than allowed, as a log ratio."""
    crossing = float(mass @ special.ndtr((places - bound) / step))
    return math.log(max(crossing, 1e-300) / allowed)


def sequential_p_value(p_values: Sequence[float], looks: tuple[float, ...]) -> float:
    """Returns the smallest error rate at which one of the looks so far would have rejected.

    It is a p value whenever one stops (Liu & Anderson, "On adaptive extensions of group sequential
    trials", JASA, 2008), and so can enter Holm's procedure.
    """
    if len(looks) == 1 or 0.0 in p_values:
        return min((1.0, *p_values))
    rates = [
        np.interp(math.log(p_value), np.log(column), np.log(_LEVELS), right=0.0)
        for p_value, column in zip(p_values, _table(looks).T, strict=False)
    ]
    return math.exp(min((0.0, *rates)))


@lru_cache(maxsize=64)
def _table(looks: tuple[float, ...]) -> _Array:
    return np.array([nominal_levels(float(alpha), looks) for alpha in _LEVELS])


def look_plan(first: int, most: int) -> tuple[int, ...]:
    """Returns how many values each look sees: `first`, then half as many again, up to `most`."""
    looks = [first]
    while looks[-1] < most:
        looks.append(min(most, max(looks[-1] + 1, math.ceil(looks[-1] * 1.5))))
    return tuple(looks)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns p values adjusted for the family, in their order.

    Rejecting those of at most alpha rejects any true hypothesis with at most that chance, however
    the tests depend on each other (Holm, "A simple sequentially rejective multiple test
    procedure", 1979).
    """
    order = np.argsort(p_values)
    least = np.maximum.accumulate(np.arange(len(order), 0, -1) * np.asarray(p_values)[order])
    return tuple(least.clip(max=1.0)[np.argsort(order)].tolist())
