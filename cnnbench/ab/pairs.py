"""One pair: both sides in alternation, rounds of steps timed. Knows no processes.

The pair is the unit of everything that is concluded: rounds of one process are not
independent, and how fast a process is depends on how it happened to start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np

ROUNDS = 12
ROUND_SECONDS = 0.03
WARMUP_ROUNDS = 2


class Taken(NamedTuple):
    """Seconds of a round: by the clock on the wall, and of CPU time of the process."""

    wall: float
    cpu: float


TimeSteps = Callable[[int], Taken]


@dataclass(frozen=True)
class Alone:
    """Raw seconds of one process of a side beside the reference workload.

    Args:
        number: of the pair that it was measured in.
        steps: steps a round, each of `batch_size` pictures.
        seconds: of each round.
        steps_reference, seconds_reference: the same of the reference.
    """

    number: int
    steps: int
    batch_size: int
    seconds: tuple[float, ...]
    steps_reference: int
    seconds_reference: tuple[float, ...]

    @property
    def log_seconds(self) -> float:
        """Logarithm of the median seconds a picture."""
        return math.log(median(self.seconds) / (self.steps * self.batch_size))

    @property
    def log_reference(self) -> float:
        """Logarithm of the reference's median seconds a step."""
        return math.log(median(self.seconds_reference) / self.steps_reference)


@dataclass(frozen=True)
class Pair:
    """Raw seconds of one pair of processes, A (BASE) and B (HEAD).

    A round is as many steps as `steps_a` on both sides. More steps on one side are extra
    work that was planted: they count as time and not as pictures.

    Args:
        number: of the pair, from 0.
        steps_a, steps_b: steps a round.
        batch_a, batch_b: pictures a step.
        seconds_a, seconds_b: of each round, by the clock on the wall.
        cpu_a, cpu_b: CPU seconds of each round.
        first: which side was timed first in each round, `a` or `b`.
        steps_reference, seconds_reference: the same of the reference, if it was measured.
    """

    number: int
    steps_a: int
    steps_b: int
    batch_a: int
    batch_b: int
    seconds_a: tuple[float, ...]
    seconds_b: tuple[float, ...]
    cpu_a: tuple[float, ...]
    cpu_b: tuple[float, ...]
    first: tuple[str, ...]
    steps_reference: int = 0
    seconds_reference: tuple[float, ...] = ()

    @property
    def log_ratio(self) -> float:
        """Logarithm of B's seconds a picture over A's: above 0, HEAD is slower.

        The median over rounds of each round's own ratio: what else the machine does lasts longer
        than a round and hits both sides of it. On a busy machine its spread over equal pairs was
        half of that of the ratio of medians.
        """
        return self._over_rounds(self.seconds_a, self.seconds_b)

    @property
    def log_ratio_cpu(self) -> float:
        """The same of CPU seconds, which leave out waiting: for a CPU, and for anything else."""
        return self._over_rounds(self.cpu_a, self.cpu_b)

    def _over_rounds(self, a: tuple[float, ...], b: tuple[float, ...]) -> float:
        ratios = [math.log(y / x) for x, y in zip(a, b, strict=True)]
        return median(ratios) - math.log(self.batch_b / self.batch_a)

    def head(self) -> Alone:
        """Returns B beside the reference."""
        return Alone(
            *(self.number, self.steps_b, self.batch_b, self.seconds_b),
            *(self.steps_reference, self.seconds_reference),
        )


@dataclass(frozen=True)
class Rounds:
    """Seconds of each round of each party by both clocks, and who of `a` and `b` was first."""

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
    steps: Mapping[str, int],
    rng: np.random.Generator,
    rounds: int = ROUNDS,
    warmup_rounds: int = WARMUP_ROUNDS,
) -> Rounds:
    """Times rounds of `a` and `b` in an order drawn for each round, then of the reference.

    Only one party works at a time, and no round of one is far from a round of the other: what
    else the machine does hits both.

    Args:
        time_steps: a function for each party that makes so many steps and returns what they took.
        steps: a round's steps for each party.
        rng: draws the orders.
        rounds: timed rounds.
        warmup_rounds: rounds before them, thrown away.
    """
    taken: dict[str, list[Taken]] = {party: [] for party in time_steps}
    first = []
    sides = [party for party in time_steps if party != "reference"]
    for number in range(warmup_rounds + rounds):
        order = [sides[index] for index in rng.permutation(len(sides))]
        for party in (*order, *(set(time_steps) - set(sides))):
            each = time_steps[party](steps[party])
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
    steps: tuple[int, int] | None = None,
) -> Pair:
    """Measures one pair.

    Args:
        number: of the pair.
        time_steps: of `a`, `b` and, if wanted, `reference`: makes so many steps and returns
            what they took.
        rng: draws which side is first in each round.
        batch_a, batch_b: pictures a step.
        steps: steps a round of A and of B; more on one side are planted extra work. `None`
            is as many on both as the slower one needs for `ROUND_SECONDS`.
    """
    both = {party: time_steps[party] for party in ("a", "b")}
    counts = dict(zip("ab", steps or (steps_for(both),) * 2, strict=True))
    counts |= _reference_steps(time_steps)
    found = time_in_alternation(time_steps, counts, rng)
    return Pair(
        number=number,
        steps_a=counts["a"],
        steps_b=counts["b"],
        batch_a=batch_a,
        batch_b=batch_b,
        seconds_a=found.wall["a"],
        seconds_b=found.wall["b"],
        cpu_a=found.cpu["a"],
        cpu_b=found.cpu["b"],
        first=found.first,
        steps_reference=counts.get("reference", 0),
        seconds_reference=found.wall.get("reference", ()),
    )


def measure_alone(
    number: int, time_steps: Mapping[str, TimeSteps], rng: np.random.Generator, batch_size: int
) -> Alone:
    """Measures one process of a side, `b`, beside the reference, `reference`."""
    counts = {"b": steps_for({"b": time_steps["b"]}), **_reference_steps(time_steps)}
    found = time_in_alternation(time_steps, counts, rng)
    return Alone(
        *(number, counts["b"], batch_size, found.wall["b"]),
        *(counts["reference"], found.wall["reference"]),
    )


def _reference_steps(time_steps: Mapping[str, TimeSteps]) -> dict[str, int]:
    if "reference" not in time_steps:
        return {}
    return {"reference": steps_for({"reference": time_steps["reference"]})}
