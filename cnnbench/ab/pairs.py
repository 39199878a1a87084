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
    """Seconds of a round: by the clock on the wall, and of CPU time of the process."""

    wall: float
    cpu: float


ClockName = Literal["wall", "cpu"]
TimeSteps = Callable[[int], Taken]


@dataclass(frozen=True)
class Pair:
    """Raw seconds of one pair of processes, A (BASE) and B (HEAD).

    Args:
        number: of the pair, from 0.
        steps: steps per round, on both sides.
        batch_a, batch_b: pictures a step.
        seconds_a, seconds_b: of each round, by the clock on the wall.
        cpu_a, cpu_b: CPU seconds of each round.
        first: which side was timed first in each round, `a` or `b`.
    """

    number: int
    steps: int
    batch_a: int
    batch_b: int
    seconds_a: tuple[float, ...]
    seconds_b: tuple[float, ...]
    cpu_a: tuple[float, ...]
    cpu_b: tuple[float, ...]
    first: tuple[str, ...]

    def log_ratio(self, clock: ClockName = "wall") -> float:
        """Returns the logarithm of B's seconds per picture over A's: above 0, HEAD is slower.

        The median over rounds of each round's own ratio: what else the machine does lasts longer
        than a round and hits both sides of it. On a busy machine its spread over equal pairs was
        half of that of the ratio of medians.

        Args:
            clock: `wall`, or `cpu`: CPU seconds, which leave out waiting: for a CPU, and for
                anything else.
        """
        a, b = self.seconds_a, self.seconds_b
        if clock == "cpu":
            a, b = self.cpu_a, self.cpu_b
        ratios = [math.log(y / x) for x, y in zip(a, b, strict=True)]
        return median(ratios) - math.log(self.batch_b / self.batch_a)


@dataclass(frozen=True)
class Rounds:
    """Seconds of each round of `a` and `b` by both clocks, and which was first."""

    wall: dict[str, tuple[float, ...]]
    cpu: dict[str, tuple[float, ...]]
    first: tuple[str, ...]


def steps_for(time_steps: Mapping[str, TimeSteps], least_seconds: float = ROUND_SECONDS) -> int:
    """Returns how many steps, one of 1, 2, 4..., the slower party needs `least_seconds` for."""
    steps = 1
    while max(time(steps).wall for time in time_steps.values()) < least_seconds:
        steps *= 2
    return steps


def time_in_alternation(
    time_steps: Mapping[str, TimeSteps],
    steps: int,
    rng: np.random.Generator,
    rounds: int = ROUNDS,
    warmup_rounds: int = WARMUP_ROUNDS,
) -> Rounds:
    """Times rounds of `a` and `b` in an order drawn for each round.

    Only one side works at a time, and no round of one is far from a round of the other: what
    else the machine does hits both.

    Args:
        time_steps: a function for each side that makes so many steps and returns what they took.
        steps: of each round.
        rng: draws the orders.
        rounds: timed rounds.
        warmup_rounds: rounds before them, thrown away.
    """
    taken: dict[str, list[Taken]] = {party: [] for party in time_steps}
    first = []
    for number in range(warmup_rounds + rounds):
        order = ["ab"[index] for index in rng.permutation(2)]
        for party in order:
            each = time_steps[party](steps)
            if number >= warmup_rounds:
                taken[party].append(each)
        if number >= warmup_rounds:
            first.append(order[0])
    return Rounds(
        wall={party: tuple(each.wall for each in rounds) for party, rounds in taken.items()},
        cpu={party: tuple(each.cpu for each in rounds) for party, rounds in taken.items()},
        first=tuple(first),
    )


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
    found = time_in_alternation(time_steps, steps, rng)
    return Pair(
        number=number,
        steps=steps,
        batch_a=batch_a,
        batch_b=batch_b,
        seconds_a=found.wall["a"],
        seconds_b=found.wall["b"],
        cpu_a=found.cpu["a"],
        cpu_b=found.cpu["b"],
        first=found.first,
    )
