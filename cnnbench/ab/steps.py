"""The job of a process of a pair: build one side's model, and time steps when told to."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from cnnbench.ab.sides import Side, strays
from cnnbench.machine.backends import Place, gpus
from cnnbench.models.variants import Variant
from cnnbench.records.records import Row
from cnnbench.session.workers.jobs import Job, Report
from cnnbench.speed import timing


@dataclass(frozen=True)
class Taken:
    """Seconds of a round: wall-clock time, and CPU time of the process."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class TimeSteps(Job[Taken]):
    """Times steps on `cpus`; the first job of a process builds the model."""

    words = "{job.side.name}"
    side: Side
    row: Row
    splits: Path
    cpus: tuple[int, ...] = ()
    steps: int = 1

    @property
    def variant(self) -> Variant:
        return self.side.variant

    def run(self, place: Place, report: Report) -> Taken:
        step = _built(replace(self, steps=1), place)
        used = time.process_time()
        seconds = timing.time_steps(step, self.steps)
        return Taken(seconds, time.process_time() - used)


@cache
def _built(job: TimeSteps, place: Place) -> timing.Step:
    from cnnbench.pictures.batches import Pictures, drawn_batch
    from cnnbench.pictures.data_set import Splits
    from cnnbench.speed.engines.engine import engine_for
    from cnnbench.speed.throughput import program_for

    if place.device == "gpu" and not gpus(place.backend):
        raise ValueError(f"{place.backend} sees no GPU. Received: device='gpu'")
    splits = Splits.open(job.splits)
    pictures = Pictures(splits.train_pictures(), splits.train.labels)
    batch = drawn_batch(pictures, job.row.batch_size, job.row.seed)
    engine = engine_for(place)
    program = program_for(engine, job.variant, job.row, splits)

    def step() -> object:
        # As most code makes it, from arrays in memory to numbers in memory.
        return engine.get(program.run(*program.inputs(batch)))

    step()  # compiles it
    pin(job.cpus)  # not before: both sides build at the same time
    working_copy = job.side.folder.working_copy
    if working_copy is not None and (found := strays(working_copy)):
        raise ValueError(
            "These modules come from the working copy and not from the revision. Put the folder "
            "that they are in on PYTHONPATH, so that it is looked for in the revision. "
            f"Received: modules={', '.join(found)}"
        )
    return step


def cpus_for(pair: int, threads: int) -> tuple[int, ...]:
    """Returns as many CPUs as threads, in turn for each pair."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cpus = sorted(os.sched_getaffinity(0))
    return tuple({cpus[(pair + each) % len(cpus)] for each in range(threads)})


def pin(cpus: Sequence[int]) -> None:
    """Keeps all threads of this process on these CPUs; none are named where the system can't.

    Both sides of a pair get the same ones. Left to the system, each is likely to stay on a CPU of
    its own, and whatever else runs on one of them then slows one side for the whole pair: log
    ratios of -0.6 to 0.9 were seen of equal sides on a busy machine.
    """
    if cpus:
        for task in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):  # a thread that has just ended
                os.sched_setaffinity(int(task), cpus)
