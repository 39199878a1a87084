"""The bench: templates of both sides, and pairs of fresh processes one after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from cnnbench.ab.forks import Template
from cnnbench.ab.pairs import Pair, Taken, Timer, drawn_order, steps_for, time_in_alternation
from cnnbench.ab.sides import Side
from cnnbench.ab.steps import TimeSteps
from cnnbench.machine.place import Place
from cnnbench.pictures.data_set import Splits
from cnnbench.pictures.streams import random_stream
from cnnbench.records.measurements import Workload
from cnnbench.session.workers.process import WorkerProcess


class Bench:
    """Measures pairs of two sides. A context manager; processes end with it.

    Sides with one place and harness share a template: what it happened to get when it started
    (addresses, memory) is then the same on both sides of every pair.

    Args:
        sides: A and B, placed (`sides.placed`).
        splits: the pictures.
        workload: `train` or `inference`.
        seed: of weights, batches and orders.
    """

    def __init__(
        self, sides: Sequence[Side], splits: Splits, *, workload: Workload, seed: int = 0
    ) -> None:
        self._sides = {side.name: side for side in sides}
        self._splits, self._workload, self._seed = splits, workload, seed
        self._templates: dict[tuple[Place, Path], Template] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="cnnbench-"))
            self._manifest = Path(scratch) / "pictures.json"
            self._splits.save(self._manifest)
            for side in self._sides.values():
                if (key := (side.place, side.harness)) not in self._templates:
                    self._templates[key] = Template(*key)  # all import at the same time
                    stack.callback(self._templates[key].stop)
            for template in self._templates.values():
                template.ready()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pair(self, number: int) -> Pair:
        """Measures one pair of fresh processes.

        A round is as many steps as the slower side needs for `ROUND_SECONDS`. Number and seed
        draw every order.

        Raises:
            JobError: if a side can't be built or its process ends.
        """
        rng = random_stream(self._seed, "ab_pair", number)
        with self.processes(number, rng) as timers:
            steps = steps_for(timers)
            return Pair(
                number=number,
                steps=steps,
                batch_a=self._sides["A"].batch_size,
                batch_b=self._sides["B"].batch_size,
                rounds=time_in_alternation(timers, steps, rng),
            )

    @contextmanager
    def processes(self, number: int, rng: np.random.Generator) -> Iterator[dict[str, Timer]]:
        """Starts a process for each side, in which its model is built; they end afterwards."""
        jobs = {name: self._job(side, number) for name, side in self._sides.items()}
        with ExitStack() as stack:
            workers: dict[str, WorkerProcess] = {}
            # Whose process starts first is drawn too: it may get the better memory.
            for name in drawn_order(rng):
                side = self._sides[name]
                template = self._templates[side.place, side.harness]
                workers[name] = template.worker(side.folder, jobs[name].cpus)
                stack.callback(workers[name].stop)
            for name, worker in workers.items():
                worker.begin(jobs[name])  # both build at the same time
            for name, worker in workers.items():
                worker.finish(jobs[name])
            yield {name: partial(_time, worker, jobs[name]) for name, worker in workers.items()}

    def _job(self, side: Side, number: int) -> TimeSteps:
        return TimeSteps(
            side=side.name,
            variant=side.variant,
            workload=self._workload,
            batch_size=side.batch_size,
            seed=self._seed,
            splits=self._manifest,
            cpus=_cpus(number, side.place.threads),
            working_copy=side.folder.working_copy,
        )


def _time(worker: WorkerProcess, job: TimeSteps, steps: int) -> Taken:
    return worker.do(replace(job, steps=steps))


def _cpus(number: int, threads: int) -> tuple[int, ...]:
    """Returns as many CPUs as threads, in turn for each pair."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cpus = sorted(os.sched_getaffinity(0))
    return tuple({cpus[(number + each) % len(cpus)] for each in range(threads)})
