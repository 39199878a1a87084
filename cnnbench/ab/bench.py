"""The bench: templates of both sides, and pairs of fresh processes one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cnnbench.ab.pairs import Pair, Taken, Timer, drawn_order, steps_for, time_in_alternation
from cnnbench.ab.sides import Side
from cnnbench.ab.steps import TimeSteps, cpus_for
from cnnbench.ab.template import Template
from cnnbench.machine.backends import Place
from cnnbench.pictures.batches import random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Row, Workload
from cnnbench.session.workers.process import WorkerProcess


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
