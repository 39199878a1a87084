"""Pairs of fresh processes, one after the other: both sides in alternation, rounds of steps timed.

The pair is the unit of everything that is concluded: rounds of one process are not
independent, and how fast a process is depends on how it happened to start.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cnnbench.ab.sides import ClockName, Side
from cnnbench.ab.steps import Taken, TimeSteps, cpus_for
from cnnbench.ab.template import Template
from cnnbench.machine.backends import Place
from cnnbench.pictures.batches import random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Row, Workload
from cnnbench.session.workers.process import WorkerProcess

ROUNDS = 12
ROUND_SECONDS = 0.03
WARMUP_ROUNDS = 2
COLUMNS = ("pair", "round", "side", "order", "steps", "batch_size", "seconds", "cpu_seconds")

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


@dataclass(frozen=True)
class Bench:
    """Measures pairs of A and B; `open_bench` makes one."""

    sides: Sequence[Side]
    templates: Mapping[tuple[Place, Path], Template]
    manifest: Path
    workload: Workload
    seed: int

    def pair(self, number: int) -> Pair:
        """Measures one pair of fresh processes; number and seed draw every order.

        A round is as many steps as the slower side needs for `ROUND_SECONDS`. A `JobError` says
        that a side can't be built or that its process ended.
        """
        rng = random_stream(self.seed, "ab_pair", number)
        with self.processes(number, rng) as timers:
            steps = steps_for(timers)
            rounds = time_in_alternation(timers, steps, rng)
            batch_a, batch_b = (side.batch_size for side in self.sides)
            return Pair(number, steps, batch_a, batch_b, rounds)

    @contextmanager
    def processes(self, number: int, rng: np.random.Generator) -> Iterator[dict[str, Timer]]:
        """Starts a process for each side, in which its model is built; they end afterwards."""
        sides = {side.name: side for side in self.sides}
        with ExitStack() as stack:
            started: dict[str, tuple[WorkerProcess, TimeSteps]] = {}
            # Whose process starts first is drawn too: it may get the better memory.
            for name in drawn_order(rng):
                side = sides[name]
                variant, batch_size = side.variant.name, side.batch_size
                job = TimeSteps(
                    side=side,
                    row=Row(variant, self.workload, "float32", batch_size, self.seed, number),
                    splits=self.manifest,
                    cpus=cpus_for(number, side.place.threads),
                )
                template = self.templates[side.place, side.folder.harness]
                worker = stack.enter_context(template.worker(side.folder, job.cpus))
                worker.begin(job)  # both build at the same time
                started[name] = worker, job
            for worker, job in started.values():
                worker.finish(job)
            yield {name: partial(_time, worker, job) for name, (worker, job) in started.items()}


@contextmanager
def open_bench(
    sides: Sequence[Side], splits: Splits, *, workload: Workload, seed: int = 0
) -> Iterator[Bench]:
    """Starts the templates of A and B, which are placed; every process ends with the bench.

    Sides with one place and harness share a template: what it happened to get when it started
    (addresses, memory) is then the same on both sides of every pair.
    """
    with ExitStack() as stack:
        manifest = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "pictures.json"
        splits.save(manifest)
        templates = {
            key: stack.enter_context(Template(*key))  # all import at the same time
            for key in dict.fromkeys((side.place, side.folder.harness) for side in sides)
        }
        for template in templates.values():
            template.ready()
        yield Bench(sides, templates, manifest, workload, seed)


def _time(worker: WorkerProcess, job: TimeSteps, steps: int) -> Taken:
    return worker.do(replace(job, steps=steps))
