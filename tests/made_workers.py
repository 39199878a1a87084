"""Workers that are no processes: what they come to is made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from factories import measurement, peak, sanity_run, training_run

from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.records.records import Row, Workload
from cnnbench.session.session import Session
from cnnbench.session.workers import jobs
from cnnbench.session.workers.jobs import Job
from cnnbench.session.workers.process import JobError

RUN = training_run(seconds=10.0, val_probabilities=((0.25,), (0.75,)) * 24)


@dataclass
class World:
    """What workers find, and what they did, in order.

    `broken` is a variant whose trainings fail; `speed` gives the images per second of a row, `None`
    if it does not fit into memory, or an error; `errors` has those of other jobs, by their type.
    """

    gpus: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    broken: str = ""
    speed: Callable[[Row], float | JobError | None] = lambda row: 100.0
    errors: dict[type[Any], Exception] = field(default_factory=dict)
    done: list[tuple[Place, Job[Any]]] = field(default_factory=list)
    events: list[object] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def of(self, *kinds: type[Any]) -> list[Any]:
        """Returns the jobs of these kinds that were done."""
        return [job for _, job in self.done if isinstance(job, kinds)]

    def come_to(self, place: Place, job: Job[Any]) -> Any:
        if type(job) in self.errors:
            raise self.errors[type(job)]
        if isinstance(job, jobs.Train):
            if job.variant.name == self.broken:
                raise JobError(job.title(place), "no such layer")
            return replace(RUN, variant=job.variant.name, seed=job.seed)
        if isinstance(job, jobs.Sanity):
            return sanity_run(kind=job.kind, variant=job.variant.name)
        if isinstance(job, jobs.MeasurePeak):
            return peak(place=place, dtype=job.dtype)
        if isinstance(job, jobs.Measure):
            return self._measured(place, job.row)
        return {jobs.FindGpus: self.gpus, jobs.CheckModels: self.problems}.get(type(job))

    def _measured(self, place: Place, row: Row) -> Any:
        if isinstance(speed := self.speed(row), JobError):
            raise speed
        made = measurement(row=row, place=place, flops_per_picture=1e6)
        if speed is None:
            return replace(made, out_of_memory=True, round_seconds=())
        return replace(made, round_seconds=(made.steps_per_round * row.batch_size / speed,))


class Worker:
    """Stands for `cnnbench.session.workers.process.WorkerProcess`."""

    def __init__(self, world: World, place: Place) -> None:
        self._world, self._place = world, place

    def do(self, job: Job[Any], progress: object) -> Any:
        self._world.done.append((self._place, job))
        self._world.events.append(job)
        return self._world.come_to(self._place, job)

    def stop(self) -> None:
        self._world.events.append(("stop", self._place))


def job_of(
    session: Session, workload: Workload = "inference", dtype: str = "float32", size: int = 32
) -> jobs.Measure:
    """Returns the measurement of a row of `wide` that tests ask a session for."""
    row = Row("wide", workload, dtype, size, session.options.seeds[0])
    return jobs.Measure(VARIANTS["wide"], row, session.manifest, 3, 1)
