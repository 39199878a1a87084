"""One pair: both sides in alternation, rounds of steps timed. Knows no processes.

The pair is the unit of everything that is concluded: rounds of one process are not
independent, and how fast a process is depends on how it happened to start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

ROUNDS = 12
ROUND_SECONDS = 0.03
WARMUP_ROUNDS = 2
COLUMNS = ("pair", "round", "side", "order", "steps", "batch_size", "seconds", "cpu_seconds")

ClockName = Literal["wall", "cpu"]  # CPU time leaves out all waiting


@dataclass(frozen=True)
class Taken:
    """Seconds of a round: wall-clock time, and CPU time of the process."""

    wall: float
    cpu: float


Timer = Callable[[int], Taken]  # makes so many steps


@dataclass(frozen=True)
class Round:
    """What a round took on both sides, and which of A and B was timed first."""

    first: str
    a: Taken
    b: Taken


@dataclass(frozen=True)
class Pair:
    """Raw seconds of one pair of processes: `rounds` of `steps` each, of so many pictures."""

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
        """
        ratios = [getattr(each.b, clock) / getattr(each.a, clock) for each in self.rounds]
        return median(map(math.log, ratios)) - math.log(self.batch_b / self.batch_a)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yields the values of `COLUMNS` for each round and side."""
        for number, each in enumerate(self.rounds):
            for side, batch, taken in (("A", self.batch_a, each.a), ("B", self.batch_b, each.b)):
                key = (self.number, number, side, int(each.first != side))
                yield (*key, self.steps, batch, taken.wall, taken.cpu)


def steps_for(timers: Mapping[str, Timer]) -> int:
    """Returns how many steps, one of 1, 2, 4..., take the slower side `ROUND_SECONDS`."""
    steps = 1
    while max(timer(steps).wall for timer in timers.values()) < ROUND_SECONDS:
        steps *= 2
    return steps


def time_in_alternation(
    timers: Mapping[str, Timer], steps: int, rng: np.random.Generator
) -> tuple[Round, ...]:
    """Times rounds of A and B in an order drawn for each round, after warm-up rounds.

    Only one side works at a time, and no round of one is far from a round of the other.
    """
    rounds = []
    for _ in range(WARMUP_ROUNDS + ROUNDS):
        order = drawn_order(rng)
        taken = {name: timers[name](steps) for name in order}
        rounds.append(Round(order[0], taken["A"], taken["B"]))
    return tuple(rounds[WARMUP_ROUNDS:])


def drawn_order(rng: np.random.Generator) -> list[str]:
    return ["AB"[index] for index in rng.permutation(2)]
