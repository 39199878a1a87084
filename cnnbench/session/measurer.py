"""Measurements, with the machine otherwise idle, and the files that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from cnnbench.machine.backends import EXPORTERS, TRAINING_BACKENDS, Place, missing
from cnnbench.models.variants import Variant
from cnnbench.records.records import Measurement, Peak, TrainingRun
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import Export, MakeReference, Measure, MeasurePeak
from cnnbench.session.workers.process import JobError

SWEEP_TO = 4096
FLAT = 1.05  # a doubled batch that is not faster by so much twice in a row ends a sweep


class Measurer:
    """Measures rows, each once, after the reference answers that they are compared with.

    `trainer` is the backend of trainings and references. `processes` fresh ones measure each row.
    Weights, answers and exported models go to the folder `scratch`. `training_of` returns the
    training that writes the `trained_weights` of a variant, if there is one.
    """

    def __init__(
        self,
        crew: Crew,
        trainer: str,
        processes: int,
        scratch: Path,
        training_of: Callable[[Variant], Future[TrainingRun] | None],
    ) -> None:
        self._crew, self._processes, self._scratch = crew, processes, scratch
        self._training_of = training_of
        self._reference_place = Place(trainer, "cpu", 1)
        others = [name for name in EXPORTERS if missing(name) is None]
        exporter = trainer if trainer in EXPORTERS or not others else others[0]
        self._export_place = Place(exporter, "cpu", 1)
        self._planned: tuple[tuple[Place, Measure], ...] = ()

    def trained_weights(self, variant: Variant) -> Path:
        """Returns the file for the weights of a variant's training, which answer then."""
        return self._scratch / f"{variant.fingerprint()}-trained.npz"

    def plan(self, wanted: Iterable[tuple[Place, Measure]]) -> None:
        """Queues references and exported models of what will be measured behind the trainings."""
        self._planned = tuple(wanted)
        for place, job in self._planned:
            self._crew.expect(place, MeasurePeak(job.row.dtype))
            for process in range(self._processes):
                self._crew.expect(place, self._prepare(place, job, process)[0])

    def measurements(self, place: Place, job: Measure) -> tuple[Measurement, ...]:
        if self._processes == 1:
            return (self._measure(place, job),)
        everything = dict.fromkeys([*self._planned, (place, job)])
        for process in range(self._processes):
            # One process after the other measures everything: what changes on this machine from
            # minute to minute is then spread over all rows.
            for where, what in everything:
                try:
                    self._measure(where, what, process)
                except JobError:
                    if (where, what) == (place, job):  # another row's own test reports it
                        raise
            for where in {where for where, _ in everything}:
                self._crew.rest(where)
        return tuple(self._measure(place, job, process) for process in range(self._processes))

    def sweep(self, place: Place, job: Measure) -> tuple[Measurement, ...]:
        """Doubles the batch size until throughput is flat or memory ends."""
        found: list[Measurement] = []
        flat, best, batch_size = 0, 0.0, 1
        while batch_size <= SWEEP_TO and flat < 2:
            row = replace(job.row, batch_size=batch_size)
            found.append(self._measure(place, replace(job, row=row)))
            if found[-1].out_of_memory:
                break
            speed = found[-1].images_per_second
            flat = flat + 1 if speed < FLAT * best else 0
            best, batch_size = max(best, speed), batch_size * 2
        return tuple(found)

    def peak(self, place: Place, dtype: str) -> Peak:
        return self._crew.do(place, MeasurePeak(dtype))

    def _measure(self, place: Place, job: Measure, process: int = 0) -> Measurement:
        ready, made = self._prepare(place, job, process)
        return self._crew.do(place, ready, after=made)

    def _prepare(self, place: Place, job: Measure, process: int) -> tuple[Measure, Future[None]]:
        """Queues what a measurement needs; returns it with those files, and when they are there."""
        reference = self._reference(job)
        made = self._crew.submit(
            self._reference_place, reference, after=self._training_of(job.variant)
        )
        row = replace(job.row, process=process)
        job = replace(job, row=row, reference=reference.target)
        if place.backend in TRAINING_BACKENDS:
            return job, made
        dtype = "int8" if row.dtype == "int8" else "float32"
        export = Export(
            variant=job.variant,
            splits=job.splits,
            seed=row.seed,
            reference=reference.target,
            dtype=dtype,
            target=self._scratch / f"{job.variant.fingerprint()}-{dtype}.onnx",
        )
        made = self._crew.submit(self._export_place, export, after=made)
        return replace(job, exported=export.target), made

    def _reference(self, job: Measure) -> MakeReference:
        row = job.row
        if row.workload == "inference":
            # A reference for training has these answers, too, whatever its batch size.
            trained = (
                other.row
                for _, other in self._planned
                if other.variant == job.variant and other.row.workload == "train"
            )
            row = next(trained, replace(row, batch_size=0))
        return MakeReference(
            variant=job.variant,
            splits=job.splits,
            workload=row.workload,
            batch_size=row.batch_size,
            seed=row.seed,
            weights=self.trained_weights(job.variant),
            target=self._scratch / f"{job.variant.fingerprint()}-{row.batch_size}.npz",
        )
