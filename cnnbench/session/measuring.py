"""The measurements of a session, each made once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import cast

from cnnbench.models.variants import variant_named
from cnnbench.records.measurements import Measurement, Peak
from cnnbench.report.rows import images_per_second
from cnnbench.session.options import Options
from cnnbench.session.prepared import References
from cnnbench.session.progress import Progress
from cnnbench.session.wanted import Question, Spot, Wanted
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import Job, Measure, MeasurePeak
from cnnbench.session.workers.process import JobError, Result, WorkerDied, WorkerSpec

SWEEP_FROM = 1
SWEEP_TO = 4096
FLAT = 1.05  # a doubled batch that is not faster by so much twice in a row ends a sweep


class Measuring:
    """Measures with the machine otherwise idle.

    Args:
        options: of the session.
        crew: the session's workers.
        progress: shows what is waited for.
        splits: manifest of the pictures.
        references: what is measured is held against.
        threads: of a worker.
        keep: keeps a record that no worker made.
        wanted: rows of this session, so that each fresh process can measure all of them.
    """

    def __init__(
        self,
        options: Options,
        crew: Crew,
        progress: Progress,
        splits: str,
        references: References,
        threads: int,
        keep: Callable[[Measurement], None],
        wanted: Sequence[Wanted] = (),
    ) -> None:
        self._options, self._crew, self._progress = options, crew, progress
        self._splits, self._references, self._threads = splits, references, threads
        self._keep = keep
        self._wanted = tuple(wanted)
        self._done: dict[tuple[Wanted, int], Measurement] = {}

    def measurements(self, wanted: Wanted) -> tuple[Measurement, ...]:
        """Returns a measurement of each process."""
        processes = self._options.processes
        if processes == 1:
            return (self._measure(wanted),)
        everything = tuple(dict.fromkeys([*self._wanted, wanted]))
        for process in range(processes):
            # One process after the other measures everything: what changes on this machine from
            # minute to minute is then spread over all rows.
            for one in everything:
                try:
                    self._measure(one, process)
                except JobError:
                    if one == wanted:  # the test of another row tells of it
                        raise
            for spec in {self._spec(one.spot) for one in everything}:
                self._crew.rest(spec)
        return tuple(self._measure(wanted, process) for process in range(processes))

    def sweep(self, wanted: Wanted) -> tuple[Measurement, ...]:
        """Doubles the batch size until throughput is flat or memory ends."""
        found: list[Measurement] = []
        flat, batch_size = 0, SWEEP_FROM
        while batch_size <= SWEEP_TO and flat < 2:
            one = self._measure(replace(wanted, batch_size=batch_size))
            found.append(one)
            if one.out_of_memory:
                break
            best = max(map(images_per_second, found[:-1]), default=0.0)
            flat = flat + 1 if images_per_second(one) < FLAT * best else 0
            batch_size *= 2
        return tuple(found)

    def peak(self, spot: Spot) -> Peak:
        """Returns what the backend reaches at best there."""
        job = MeasurePeak(spot.backend, spot.device, spot.dtype)
        return cast(Peak, self._wait(self._spec(spot), job))

    def _measure(self, wanted: Wanted, process: int = 0) -> Measurement:
        if (wanted, process) in self._done:
            return self._done[wanted, process]
        spot = wanted.spot
        reference, exported = self._answers(wanted.question(), spot)
        job = Measure(
            variant=variant_named(wanted.variant),
            splits=self._splits,
            workload=wanted.workload,
            backend=spot.backend,
            device=spot.device,
            dtype=spot.dtype,
            batch_size=wanted.batch_size,
            seed=self._options.seeds[0],
            rounds=wanted.rounds,
            warmup_rounds=wanted.warmup_rounds,
            process=process,
            reference=reference,
            exported=exported,
        )
        try:
            done = cast(Measurement, self._wait(self._spec(spot), job))
        except WorkerDied as error:
            if error.signal != signal.SIGKILL:  # what Linux sends when memory ends
                raise
            done = self._killed(job)
        self._done[wanted, process] = done
        return done

    def _killed(self, job: Measure) -> Measurement:
        """Returns the row of a batch for which the system killed the process."""
        row = Measurement(
            variant=job.variant.name,
            seed=job.seed,
            workload=job.workload,
            backend=job.backend,
            device=job.device,
            dtype=job.dtype,
            batch_size=job.batch_size,
            threads=self._threads,
            steps_per_round=0,
            warmup_rounds=job.warmup_rounds,
            round_seconds=(),
            latency_seconds=(),
            first_step_seconds=float("nan"),
            peak_memory_mb=float("nan"),
            fingerprint=job.variant.fingerprint(),
            process=job.process,
            out_of_memory=True,
        )
        self._keep(row)
        return row

    def _answers(self, question: Question, spot: Spot) -> tuple[str, str]:
        return self._references.answers(question, spot.backend, spot.dtype, self._threads)

    def _spec(self, spot: Spot) -> WorkerSpec:
        return WorkerSpec(spot.backend, spot.device, self._threads)

    def _wait(self, spec: WorkerSpec, job: Job) -> Result:
        future: Future[Result] = self._crew.submit(spec, job)
        return self._progress.wait(future)
