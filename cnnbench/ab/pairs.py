"""One pair: both sides in alternation, rounds of steps timed. Knows no processes.

The pair is the unit of everything that is concluded: rounds of one process are not
independent, and how fast a process is depends on how it happened to start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal, NamedTuple

import numpy as np

ROUNDS = 12
ROUND_SECONDS = 0.03
WARMUP_ROUNDS = 2
NAMES = ("A", "B")


class Taken(NamedTuple):
    """Seconds of a round: wall-clock time, and CPU time of the process."""

    wall: float
    cpu: float


ClockName = Literal["wall", "cpu"]
TimeSteps = Callable[[int], Taken]


@dataclass(frozen=True)
class Round:
    """What a round took on both sides, and which of A and B was timed first."""

    first: str
    a: Taken
    b: Taken


@dataclass(frozen=True)
class Pair:
    """Raw seconds of one pair of processes.

    Args:
        number: of the pair, from 0.
        steps: steps per round, on both sides.
        batch_a, batch_b: pictures per step.
        rounds: timed one after the other.
    """

    number: int
    steps: int
    batch_a: int
    batch_b: int
    rounds: tuple[Round, ...]

    def log_ratio(self, clock: ClockName = "wall") -> float:
        """Returns the logarithm of B's seconds per picture over A's: above 0, B is slower.

        The median over rounds of each round's own ratio: whatever else the machine does lasts
        longer than a round and slows both sides of it. On a busy machine, its spread over equal
        pairs was half of that of the ratio of medians.

        Args:
            clock: `wall`, or `cpu`: CPU time, which leaves out all waiting.
        """
        ratios = [getattr(each.b, clock) / getattr(each.a, clock) for each in self.rounds]
        return median(map(math.log, ratios)) - math.log(self.batch_b / self.batch_a)


def measure_pair(
    number: int,
    time_steps: Mapping[str, TimeSteps],
    rng: np.random.Generator,
    *,
    batch_a: int,
    batch_b: int,
) -> Pair:
    """Measures one pair; a round is as many steps as the slower side needs for `ROUND_SECONDS`.

    Args:
        number: of the pair.
        time_steps: of A and B: makes so many steps and returns what they took.
        rng: draws which side is first in each round.
        batch_a, batch_b: pictures per step.
    """
    steps = 1
    while max(time(steps).wall for time in time_steps.values()) < ROUND_SECONDS:
        steps *= 2
    return Pair(number, steps, batch_a, batch_b, time_in_alternation(time_steps, steps, rng))


def time_in_alternation(
    time_steps: Mapping[str, TimeSteps], steps: int, rng: np.random.Generator
) -> tuple[Round, ...]:
    """Times rounds of A and B in an order drawn for each round, after warm-up rounds.

    Only one side works at a time, and no round of one is far from a round of the other.

    Args:
        time_steps, rng: as in `measure_pair`.
        steps: of each round.
    """
    rounds = []
    for _ in range(WARMUP_ROUNDS + ROUNDS):
        order = drawn_order(rng)
        taken = {name: time_steps[name](steps) for name in order}
        rounds.append(Round(order[0], taken["A"], taken["B"]))
    return tuple(rounds[WARMUP_ROUNDS:])


def drawn_order(rng: np.random.Generator) -> list[str]:
    """Returns A and B in an order drawn at random."""
    return [NAMES[index] for index in rng.permutation(2)]
