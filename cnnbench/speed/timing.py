"""Clock, warm-up and rounds. Knows no model.

Steps are queued, and the clock is read when all work is done, before and after: a backend that
computes later is waited for. Steps that return when they are done need no waiting for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnbench.records.measurements import TimingProof

Clock = Callable[[], float]
Step = Callable[[], object]
Synchronize = Callable[[Sequence[object]], None]

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
    synchronize: Synchronize = lambda outputs: None,
    when_warm: Callable[[], None] = lambda: None,
    after_round: Callable[[], None] = lambda: None,
    minimum_seconds: float = MINIMUM_ROUND_SECONDS,
    clock: Clock = time.perf_counter,
) -> Rounds:
    """Times rounds of steps after a warm-up.

    The number of steps a round is doubled in the first warm-up until a round lasts
    `minimum_seconds`, so that reading the clock costs nothing beside it.

    Args:
        step: queues one step, or makes it.
        rounds: timed rounds.
        warmup_rounds: rounds of full length before, whose times are thrown away.
        synchronize: waits for the work of a round, of whose outputs it is given all.
        when_warm: called before the first timed round.
        after_round: called after each timed round, when the clock has stopped.
        minimum_seconds: shortest round.
        clock: returns seconds.

    Returns:
        The raw seconds of each round.
    """
    steps = 1
    while time_steps(step, steps, synchronize, clock) < minimum_seconds:
        steps *= 2
    for _ in range(warmup_rounds):
        time_steps(step, steps, synchronize, clock)
    when_warm()
    seconds = []
    for _ in range(rounds):
        seconds.append(time_steps(step, steps, synchronize, clock))
        after_round()
    return Rounds(tuple(seconds), steps)


def prove_timing(
    step: Step,
    synchronize: Synchronize,
    read: Callable[[object], object],
    steps_per_round: int,
    *,
    tries: int = 5,
    clock: Clock = time.perf_counter,
) -> TimingProof:
    """Measures whether a timer waits for the work that it times.

    Time must grow in proportion to the steps that were queued, and when the clock has stopped,
    nothing may be left to do: reading the answers must take no time.

    Args:
        step: queues one step.
        synchronize: what the timer waits with.
        read: brings an output to the host, which every backend does only when it is computed.
        steps_per_round: of the rounds that were timed; more than they had are not queued.
        tries: measurements of each number of steps, of which the shortest counts.
        clock: returns seconds.
    """
    most = max(4, steps_per_round)
    counts = tuple(most * share // 4 for share in (1, 2, 4))
    best = dict.fromkeys(counts, float("inf"))
    drains = []
    for _ in range(tries):
        for count in counts:
            synchronize([])
            start = clock()
            outputs = [step() for _ in range(count)]
            synchronize(outputs)
            stop = clock()
            read(outputs[-1])
            drains.append(clock() - stop)
            best[count] = min(best[count], stop - start)
    return TimingProof(counts, tuple(best.values()), min(drains))


def time_calls(step: Step, calls: int, clock: Clock = time.perf_counter) -> tuple[float, ...]:
    """Returns the seconds of each of `calls` single calls."""
    return tuple(time_steps(step, 1, clock=clock) for _ in range(calls))


def time_steps(
    step: Step,
    steps: int,
    synchronize: Synchronize = lambda outputs: None,
    clock: Clock = time.perf_counter,
) -> float:
    """Returns the seconds of a round of steps, from one moment of rest to the next."""
    synchronize([])
    start = clock()
    outputs = [step() for _ in range(steps)]
    synchronize(outputs)
    return clock() - start


# Twice the steps must take twice the time. Overhead that is paid once makes it less, a busy machine
# makes it more or less; a timer that does not wait is off by the length of the queue.
LINEAR = (0.6, 1.6)


def linearity(proof: TimingProof | None) -> float | None:
    """Returns by how much time grew with queued steps, relative to the steps: 1 is right."""
    if proof is None:
        return None
    more_seconds = proof.seconds[-1] - proof.seconds[0]
    more_steps = proof.steps[-1] - proof.steps[0]
    return (more_seconds / more_steps) / (proof.seconds[-1] / proof.steps[-1])


def is_linear(proof: TimingProof) -> bool:
    """Returns whether time grew with queued steps as it should."""
    return LINEAR[0] <= (linearity(proof) or 0.0) <= LINEAR[1]
