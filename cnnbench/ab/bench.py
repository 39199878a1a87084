"""The bench: templates of both sides, and pairs of fresh processes one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cnnbench.ab.forks import Template
from cnnbench.ab.pairs import Pair, Taken, Timer, drawn_order, steps_for, time_in_alternation
from cnnbench.ab.sides import Side
from cnnbench.ab.steps import TimeSteps, cpus_for
from cnnbench.machine.backends import Place
from cnnbench.pictures.batches import random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Row, Workload
from cnnbench.session.workers.process import WorkerProcess


@dataclass(frozen=True)
class Bench:
    """Measures pairs of two sides, by name; `open_bench` makes one."""

    sides: Mapping[str, Side]
    templates: Mapping[tuple[Place, Path], Template]
    manifest: Path
    workload: Workload
    seed: int

    def pair(self, number: int) -> Pair:
        """Measures one pair of fresh processes.

        A round is as many steps as the slower side needs for `ROUND_SECONDS`. Number and seed
        draw every order.

        Raises:
            JobError: if a side can't be built or its process ends.
        """
        rng = random_stream(self.seed, "ab_pair", number)
        with self.processes(number, rng) as timers:
            steps = steps_for(timers)
            return Pair(
                number=number,
                steps=steps,
                batch_a=self.sides["A"].batch_size,
                batch_b=self.sides["B"].batch_size,
                rounds=time_in_alternation(timers, steps, rng),
            )

    @contextmanager
    def processes(self, number: int, rng: np.random.Generator) -> Iterator[dict[str, Timer]]:
        """Starts a process for each side, in which its model is built; they end afterwards."""
        jobs = {name: self._job(side, number) for name, side in self.sides.items()}
        with ExitStack() as stack:
            workers: dict[str, WorkerProcess] = {}
            # Whose process starts first is drawn too: it may get the better memory.
            for name in drawn_order(rng):
                side = self.sides[name]
                template = self.templates[side.place, side.harness]
                worker = template.worker(side.folder, jobs[name].cpus)
                workers[name] = stack.enter_context(worker)
            for name, worker in workers.items():
                worker.begin(jobs[name])  # both build at the same time
            for name, worker in workers.items():
                worker.finish(jobs[name])
            yield {name: partial(_time, worker, jobs[name]) for name, worker in workers.items()}

    def _job(self, side: Side, number: int) -> TimeSteps:
        return TimeSteps(
            side=side.name,
            variant=side.variant,
            row=Row(
                side.variant.name, self.workload, "float32", side.batch_size, self.seed, number
            ),
            splits=self.manifest,
            cpus=cpus_for(number, side.place.threads),
            working_copy=side.folder.working_copy,
        )


@contextmanager
def open_bench(
    sides: Iterable[Side], splits: Splits, *, workload: Workload, seed: int = 0
) -> Iterator[Bench]:
    """Starts the templates of A and B, which are placed; every process ends with the bench.

    Sides with one place and harness share a template: what it happened to get when it started
    (addresses, memory) is then the same on both sides of every pair.
    """
    named = {side.name: side for side in sides}
    with ExitStack() as stack:
        manifest = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "pictures.json"
        splits.save(manifest)
        templates = {
            key: stack.enter_context(Template(*key))  # all import at the same time
            for key in dict.fromkeys((side.place, side.harness) for side in named.values())
        }
        for template in templates.values():
            template.ready()
        yield Bench(named, templates, manifest, workload, seed)


def _time(worker: WorkerProcess, job: TimeSteps, steps: int) -> Taken:
    return worker.do(replace(job, steps=steps))
