"""Rounds of steps, the clock around them, and the proof that the clock waits. Knows no model.

Steps are queued, and the clock is read when all work is done, before and after: a backend that
computes later is waited for. Steps that return when they are done need no waiting for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from cnnbench.records.records import TimingProof

Clock = Callable[[], float]
Step = Callable[[], object]
Synchronize = Callable[[Sequence[object]], None]

MINIMUM_ROUND_SECONDS = 0.05


def time_steps(
    step: Step,
    steps: int = 1,
    synchronize: Synchronize = lambda outputs: None,
    clock: Clock = time.perf_counter,
) -> float:
    """Returns the seconds of a round of steps, from one moment of rest to the next.

    `synchronize` waits for all queued work, and for the outputs that it is given.
    """
    return _round(step, steps, synchronize, clock)[0]


def _round(step: Step, steps: int, synchronize: Synchronize, clock: Clock) -> tuple[float, object]:
    """Returns the seconds of a round, and the last output."""
    synchronize([])
    start = clock()
    outputs = [step() for _ in range(steps)]
    synchronize(outputs)
    return clock() - start, outputs[-1]


def time_calls(step: Step, calls: int, clock: Clock = time.perf_counter) -> tuple[float, ...]:
    """Returns the seconds of each of `calls` single calls."""
    return tuple(time_steps(step, clock=clock) for _ in range(calls))


def steps_per_round(
    step: Step, synchronize: Synchronize, *, clock: Clock = time.perf_counter
) -> int:
    """Doubles the steps until a round is so long that reading the clock costs nothing beside it."""
    steps = 1
    while time_steps(step, steps, synchronize, clock) < MINIMUM_ROUND_SECONDS:
        steps *= 2
    return steps


def prove_timing(
    step: Step,
    synchronize: Synchronize,
    read: Callable[[object], object],
    most_steps: int,
    *,
    tries: int = 5,
    clock: Clock = time.perf_counter,
) -> TimingProof:
    """Measures whether a timer waits for the work that it times.

    Time must grow in proportion to the steps that were queued, and when the clock has stopped,
    nothing may be left to do: reading the output must take no time.

    `read` brings an output to the host, which every backend does only when it is computed. At most
    as many steps are queued as in a timed round. Of several tries, the shortest counts.
    """
    most = max(4, most_steps)
    counts = (most // 4, most // 2, most)
    best = dict.fromkeys(counts, float("inf"))
    drains = []
    for _ in range(tries):
        for count in counts:
            seconds, output = _round(step, count, synchronize, clock)
            drains.append(time_steps(partial(read, output), clock=clock))
            best[count] = min(best[count], seconds)
    return TimingProof(counts, tuple(best.values()), min(drains))
