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


class Taken(NamedTuple):
    """Seconds of a round: wall-clock time, and CPU time of the process."""

    wall: float
    cpu: float


ClockName = Literal["wall", "cpu"]
TimeSteps = Callable[[int], Taken]


@dataclass(frozen=True)
class Round:
    """What a round took on both sides, and which of `a` and `b` was timed first."""

    first: str
    a: Taken
    b: Taken


@dataclass(frozen=True)
class Pair:
    """Raw seconds of one pair of processes, A (BASE) and B (HEAD).

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
        """Returns the logarithm of B's seconds per picture over A's: above 0, HEAD is slower.

        The median over rounds of each round's own ratio: what else the machine does lasts longer
        than a round and hits both sides of it. On a busy machine its spread over equal pairs was
        half of that of the ratio of medians.

        Args:
            clock: `wall`, or `cpu`: CPU seconds, which leave out waiting: for a CPU, and for
                anything else.
        """
        ratios = [getattr(each.b, clock) / getattr(each.a, clock) for each in self.rounds]
        return median(map(math.log, ratios)) - math.log(self.batch_b / self.batch_a)


def steps_for(time_steps: Mapping[str, TimeSteps], least_seconds: float = ROUND_SECONDS) -> int:
    """Returns how many steps, one of 1, 2, 4..., the slower party needs `least_seconds` for."""
    steps = 1
    while max(time(steps).wall for time in time_steps.values()) < least_seconds:
        steps *= 2
    return steps


def time_in_alternation(
    time_steps: Mapping[str, TimeSteps], steps: int, rng: np.random.Generator
) -> tuple[Round, ...]:
    """Times rounds of `a` and `b` in an order drawn for each round, after warm-up rounds.

    Only one side works at a time, and no round of one is far from a round of the other: what
    else the machine does hits both.

    Args:
        time_steps: a function for each side that makes so many steps and returns what they took.
        steps: of each round.
        rng: draws the orders.
    """
    rounds = []
    for _ in range(WARMUP_ROUNDS + ROUNDS):
        order = ["ab"[index] for index in rng.permutation(2)]
        taken = {party: time_steps[party](steps) for party in order}
        rounds.append(Round(order[0], taken["a"], taken["b"]))
    return tuple(rounds[WARMUP_ROUNDS:])


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
        time_steps: of `a` and `b`: makes so many steps and returns what they took.
        rng: draws which side is first in each round.
        batch_a, batch_b: pictures a step.
    """
    steps = steps_for(time_steps)
    return Pair(number, steps, batch_a, batch_b, time_in_alternation(time_steps, steps, rng))
