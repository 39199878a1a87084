"""One session: pictures, workers, journal and report, and each job done exactly once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnnbench import environment
from cnnbench.backends import require_backend
from cnnbench.journal import JOURNAL_NAME, Journal
from cnnbench.options import Options
from cnnbench.pictures import OpenedPictures, open_pictures
from cnnbench.progress import Progress
from cnnbench.records import (
    CheckResult,
    DataSet,
    Environment,
    Measurement,
    Record,
    SanityKind,
    SanityRun,
    TrainingRun,
    Workload,
)
from cnnbench.report.folder import new_report_folder
from cnnbench.report.outcome import in_words
from cnnbench.variants import variant_named
from cnnbench.workers.jobs import CheckModels, FindGpus, Job, Measure, Sanity, Train
from cnnbench.workers.pool import WorkerPool
from cnnbench.workers.process import Result, WorkerSpec

if TYPE_CHECKING:
    from cnnbench.report.frames import Report


FINISHED = (TrainingRun, SanityRun, Measurement, CheckResult)


class Session:
    """Does the jobs of one session and keeps their records.

    Trainings run ahead, several at a time, on one thread each: results are then the same
    on any number of CPUs. Measurements wait until the machine is otherwise idle.

    Args:
        options: the session's options.
        root: folder whose git commit names the report.
        say: prints a line of progress.
    """

    def __init__(self, options: Options, root: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.progress = Progress(say)
        self.directory: Path | None = None
        self.report: Report | None = None
        self.environment: dict[str, Any] = {}
        self._root = root
        self._jobs: dict[Job, Future[Result]] = {}
        self._pools: dict[WorkerSpec, WorkerPool] = {}
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._pictures: OpenedPictures | None = None
        self._gpus: tuple[str, ...] | None = None
        self._closed = False
        # The manifest for the workers names paths of this machine: nothing for a report.
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")

    def start(self) -> None:
        """Opens the report folder and the pictures and looks for devices.

        Raises:
            ValueError, OSError: for anything that the user can mend, in one message.
        """
        options = self.options
        require_backend(options.backend)
        identity = environment.describe(self._root)
        self.directory = new_report_folder(options.report_dir, identity["commit"])
        self._journal = Journal(self.directory / JOURNAL_NAME)
        if not environment.may_have_gpu():
            self._gpus = ()
            # They import the backend, which takes seconds, while pictures are read.
            self._training_pool().warm_up(1)
        self._pictures = open_pictures(options, Path(self._scratch.name), self.progress.note)
        if "gpu" in options.devices and not self.gpus():
            raise ValueError(
                f"--cnnbench-devices asks for gpu, but {options.backend} sees no GPU on this "
                "machine. Use auto or cpu, or install the backend's GPU build and driver. "
                f"Received: {','.join(options.devices)!r}"
            )
        data_set = self._pictures.data_set
        self.environment = {
            **identity,
            "backend": options.backend,
            "gpus": list(self._gpus or ()),
            "training_device": self.training_device(),
            "options": options.to_dict(),
            "data": data_set and data_set.summary(),
        }
        self._record(Environment(self.environment))
        if data_set is not None:
            self._record(data_set)

    def check_models(self, variants: Iterable[str]) -> None:
        """Builds each model once, so that a bad one is told before any training.

        Raises:
            ValueError: names the problems of all models.
        """
        job = CheckModels(tuple(variant_named(name) for name in variants), self._splits())
        answer = cast(dict[str, list[str]], self.progress.wait(self._training_pool().submit(job)))
        if answer["problems"]:
            raise ValueError("\n".join(answer["problems"]))

    def plan(self, jobs: Iterable[Job]) -> None:
        """Submits trainings ahead, in order; each distinct one once."""
        for job in jobs:
            self._submit(self._training_pool(), job)

    def train_job(self, variant: str, seed: int) -> Train:
        return Train(variant_named(variant), self._splits(), seed, self.options.training_protocol())

    def sanity_job(self, kind: SanityKind, variant: str) -> Sanity:
        return Sanity(
            kind,
            variant_named(variant),
            self._splits(),
            self.options.seeds[0],
            self.options.training_protocol(),
        )

    def training_run(self, variant: str, seed: int) -> TrainingRun:
        """Returns the run of a variant under a seed, trained now or ahead."""
        job = self.train_job(variant, seed)
        future = self._submit(self._training_pool(), job)
        return cast(TrainingRun, self.progress.wait(future))

    def sanity_run(self, kind: SanityKind, variant: str) -> SanityRun:
        """Returns the outcome of a sanity training."""
        future = self._submit(self._training_pool(), self.sanity_job(kind, variant))
        return cast(SanityRun, self.progress.wait(future))

    def measurement(
        self,
        variant: str,
        workload: Workload,
        device: str,
        batch_size: int,
        rounds: int,
        warmup_rounds: int,
    ) -> Measurement:
        """Returns a measurement, made with the machine otherwise idle."""
        job = Measure(
            variant_named(variant),
            self._splits(),
            workload,
            device,
            batch_size,
            self.options.seeds[0],
            rounds,
            warmup_rounds,
        )
        for future in list(self._jobs.values()):
            self.progress.settle(future)
        self._close_pool(self._training_spec())
        pool = self._pool(self._spec(device, self.options.threads or environment.usable_cpus()), 1)
        return cast(Measurement, self.progress.wait(self._submit(pool, job)))

    def finished_runs(self, variant: str | None = None) -> list[TrainingRun]:
        """Returns the training runs, of a variant or of all, that are finished by now."""
        with self._lock:
            records = list(self._journal.records) if self._journal else []
        runs = [record for record in records if isinstance(record, TrainingRun)]
        return [run for run in runs if variant in (None, run.variant)]

    def judge(self, result: CheckResult) -> None:
        """Keeps a verdict."""
        self._record(result)

    @property
    def data_set(self) -> DataSet:
        """The pictures of this session."""
        data_set = self._opened().data_set
        assert data_set is not None
        return data_set

    @property
    def leaks(self) -> Sequence[str]:
        """A line for each pair of equal pictures on both sides; then nothing can be trained."""
        return self._opened().leaks

    @property
    def near_duplicates(self) -> Sequence[tuple[str, str]]:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        return self._opened().near_duplicates

    @property
    def load_seconds(self) -> float:
        """Seconds that listing, hashing, decoding and splitting took."""
        return self._opened().seconds

    def gpus(self) -> tuple[str, ...]:
        """Returns the GPUs that the backend sees."""
        if self._gpus is None:
            pool = self._pool(self._spec("gpu", environment.usable_cpus()), 1)
            answer = cast(dict[str, list[str]], self.progress.wait(pool.submit(FindGpus())))
            self._gpus = tuple(answer["gpus"])
        return self._gpus

    def finish(self) -> None:
        """Ends the workers and writes the tables of everything that was finished."""
        if self._closed:
            return
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        self._scratch.cleanup()
        if self._journal is not None and self.directory is not None:
            if not any(isinstance(record, FINISHED) for record in self._journal.records):
                self._journal.close()
                self._journal.path.unlink()
                self.directory.rmdir()  # nothing was finished: an empty report helps nobody
                return
            from cnnbench.report.frames import report_of, write_report

            with self._lock:
                self._journal.close()
            self.report = report_of(self._journal.records)
            write_report(self.report, self.directory)

    # Where jobs run

    def training_device(self) -> str:
        """Returns where trainings run: the device named first, or with `auto` a GPU if any."""
        if self.options.devices != ("auto",):
            return self.options.devices[0]
        return "gpu" if self.gpus() else "cpu"

    def training_workers(self) -> int:
        """Returns how many trainings run at once."""
        # One training at a time on a GPU: a worker takes the memory of the whole device.
        if self.training_device() == "gpu":
            return 1
        return self.options.workers or environment.usable_cpus()

    def _training_spec(self) -> WorkerSpec:
        device = self.training_device()
        return self._spec(device, 1 if device == "cpu" else environment.usable_cpus())

    def _training_pool(self) -> WorkerPool:
        spec = self._training_spec()
        return self._pool(spec, self.training_workers())

    def _spec(self, device: str, threads: int) -> WorkerSpec:
        return WorkerSpec(self.options.backend, device, threads)

    def _pool(self, spec: WorkerSpec, size: int) -> WorkerPool:
        if spec not in self._pools:
            self._pools[spec] = WorkerPool(
                spec,
                size,
                lambda job, values: self.progress.tell(job.title(), values),
                self._finished,
            )
        return self._pools[spec]

    def _close_pool(self, spec: WorkerSpec) -> None:
        pool = self._pools.get(spec)
        if pool is not None and spec.device == "cpu" and spec.threads == 1:
            self._pools.pop(spec).close()

    # What happens to jobs

    def _submit(self, pool: WorkerPool, job: Job) -> Future[Result]:
        if job not in self._jobs:
            self.progress.plan(1)
            self._jobs[job] = pool.submit(job)
        return self._jobs[job]

    def _finished(self, job: Job, outcome: Result | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self.progress.finished(job.title(), f"failed: {outcome}")
        elif not isinstance(outcome, dict):
            self._record(outcome)
            self.progress.finished(job.title(), in_words(outcome))

    def _record(self, record: Record) -> None:
        with self._lock:
            if self._journal is not None and not self._closed:
                self._journal.append(record)

    def _splits(self) -> str:
        return str(self._opened().manifest)

    def _opened(self) -> OpenedPictures:
        assert self._pictures is not None  # start() comes first
        return self._pictures
