"""Clock, warm-up and rounds. Knows no model.

The clock is read around nothing but synchronized steps: a step must return only when
its work is done (Keras' `train_on_batch` and `predict_on_batch` do, since they hand
out numbers of the host).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]
Step = Callable[[], object]

MINIMUM_ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class Rounds:
    """Seconds of each timed round, and how many steps a round has."""

    seconds: tuple[float, ...]
    steps_per_round: int


def time_rounds(
    step: Step,
    *,
    rounds: int,
    warmup_rounds: int,
    minimum_seconds: float = MINIMUM_ROUND_SECONDS,
    clock: Clock = time.perf_counter,
) -> Rounds:
    """Times rounds of steps after a warm-up.

    The number of steps a round is doubled in the first warm-up until a round lasts
    `minimum_seconds`, so that reading the clock costs nothing beside it.

    Args:
        step: one synchronized step.
        rounds: timed rounds.
        warmup_rounds: rounds of full length before, whose times are thrown away.
        minimum_seconds: shortest round.
        clock: returns seconds.

    Returns:
        The raw seconds of each round.
    """
    steps = 1
    while _round(step, steps, clock) < minimum_seconds:
        steps *= 2
    for _ in range(warmup_rounds):
        _round(step, steps, clock)
    return Rounds(tuple(_round(step, steps, clock) for _ in range(rounds)), steps)


def time_calls(step: Step, calls: int, clock: Clock = time.perf_counter) -> tuple[float, ...]:
    """Returns the seconds of each of `calls` single calls."""
    return tuple(_round(step, 1, clock) for _ in range(calls))


def _round(step: Step, steps: int, clock: Clock) -> float:
    start = clock()
    for _ in range(steps):
        step()
    return clock() - start
