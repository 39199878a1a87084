"""One session: pictures, workers, journal and report."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.machine import environment
from cnnbench.machine.backends import kind_of, require_backends
from cnnbench.machine.place import Place
from cnnbench.models.variants import Variant
from cnnbench.records.checks import CheckResult
from cnnbench.records.codec import Record
from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.records.measurements import Measurement, Row, Workload
from cnnbench.records.runs import DataSet, Environment, SanityKind, SanityRun, TrainingRun
from cnnbench.report.folder import new_report_folder
from cnnbench.report.in_words import in_words
from cnnbench.session import available
from cnnbench.session.measurer import Measurer
from cnnbench.session.opened_pictures import OpenedPictures, open_pictures
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import CheckModels, Job, Measure, Sanity, Train
from cnnbench.session.workers.process import JobError

if TYPE_CHECKING:
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.report.frames import Report

FINISHED = (TrainingRun, SanityRun, Measurement, CheckResult)


class Session:
    """Does the jobs of one session and keeps their records.

    Trainings run ahead, several at a time, on one thread each: results are then the same
    on any number of CPUs. Measurements wait until the machine is otherwise idle.

    Args:
        options: the session's options.
        root: folder whose git commit names the report, and that its relative path starts from.
        say: prints a line of progress.
    """

    def __init__(self, options: Options, root: Path, say: Callable[[str], None]) -> None:
        self.options = options
        self.progress = Progress(say)
        self.directory: Path | None = None
        self.report: Report | None = None
        self.environment: dict[str, Any] = {}
        self._root = root
        self._crew = Crew(self.progress, self._finished, self._size)
        self._lock = threading.Lock()
        self._reasons: set[str] = set()
        self._journal: Journal | None = None
        self._pictures: OpenedPictures | None = None
        self._is_measuring = self._closed = False
        # The manifest for the workers names paths of this machine: nothing for a report.
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")
        self._measurer = Measurer(
            self._crew, options.training_backend(), options.processes, Path(self._scratch.name)
        )

    def start(self) -> None:
        """Opens the report folder and the pictures and looks for devices.

        Raises:
            ValueError, OSError: for anything that the user can mend, in one message.
        """
        options = self.options
        if options.backends != ("auto",):
            require_backends(options.backends)
        require_backends([options.training_backend()])
        identity = environment.describe(self._root)
        self.directory = new_report_folder(self._root / options.report_dir, identity["commit"])
        self._journal = Journal(self.directory / JOURNAL_NAME)
        if not environment.may_have_gpu():
            # They import the backend, which takes seconds, while pictures are read.
            self._crew.warm_up(self._training_place())
        self._pictures = open_pictures(options, Path(self._scratch.name), self.progress.note)
        available.require_devices(self._crew, options)
        data_set = self._pictures.data_set
        self.environment = {
            **identity,
            "backend": options.training_backend(),
            "backends": list(options.backend_names()),
            "gpus": list(self.gpus()),
            "training_device": self.training_device(),
            "options": options.to_dict(),
            "data": data_set and data_set.summary(),
        }
        self._record(Environment(self.environment))
        if data_set is not None:
            self._record(data_set)

    # Trainings

    def check_models(self, variants: Iterable[Variant]) -> None:
        """Builds each model once, so that a bad one is reported before any training.

        Raises:
            ValueError: names the problems of all models.
        """
        problems = self._crew.do(
            self._training_place(), CheckModels(tuple(variants), self._splits())
        )
        if problems:
            raise ValueError("\n".join(problems))

    def train_job(self, variant: Variant, seed: int) -> Train:
        """Returns the training of a variant under a seed, for `plan`."""
        # The network of the first seed answers when speeds are measured, too.
        kept = self._measurer.trained_weights(variant) if seed == self.options.seeds[0] else None
        return Train(variant, self._splits(), seed, self.options.training_protocol(), kept)

    def sanity_job(self, kind: SanityKind, variant: Variant) -> Sanity:
        """Returns a sanity training of a variant, for `plan`."""
        protocol, seed = self.options.training_protocol(), self.options.seeds[0]
        return Sanity(kind, variant, self._splits(), seed, protocol)

    def plan(self, jobs: Iterable[Train | Sanity]) -> None:
        """Submits trainings ahead, in order; each distinct one once."""
        for job in jobs:
            self._crew.submit(self._training_place(), job)

    def training_run(self, variant: Variant, seed: int) -> TrainingRun:
        """Returns the run of a variant under a seed, trained now or ahead."""
        return self._crew.do(self._training_place(), self.train_job(variant, seed))

    def sanity_run(self, kind: SanityKind, variant: Variant) -> SanityRun:
        """Returns the outcome of a sanity training."""
        return self._crew.do(self._training_place(), self.sanity_job(kind, variant))

    def train_all(self, wanted: Sequence[tuple[Variant, int]]) -> list[TrainingRun | Exception]:
        """Returns the runs of variants under seeds, with the error of each that failed."""
        self.plan(self.train_job(variant, seed) for variant, seed in wanted)
        done: list[TrainingRun | Exception] = []
        for variant, seed in wanted:
            try:
                done.append(self.training_run(variant, seed))
            except JobError as error:
                done.append(error)
        return done

    def may_train(self, count: int) -> bool:
        """Returns whether the budget of seconds has room for more trainings."""
        runs = self.finished_runs()
        if self.options.budget is None or not runs:
            return True
        each = sum(run.seconds for run in runs) / len(runs) / self.training_workers()
        return self.progress.elapsed() + count * each <= self.options.budget

    def finished_runs(self, variant: Variant | None = None) -> list[TrainingRun]:
        """Returns the training runs, of a variant or of all, that are finished by now."""
        with self._lock:
            records = list(self._journal.records) if self._journal else []
        runs = [record for record in records if isinstance(record, TrainingRun)]
        return [run for run in runs if variant is None or run.variant == variant.name]

    # Measurements

    def measuring_place(self, backend: str, device: str) -> Place:
        """Returns the place of measurements on a device."""
        return Place(backend, device, self.options.threads or environment.usable_cpus())

    def measure_job(
        self,
        variant: Variant,
        workload: Workload,
        dtype: str,
        batch_size: int,
        rounds: int,
        warmup_rounds: int,
    ) -> Measure:
        """Returns a measurement, for `plan_measurements` or the `measurer`."""
        row = Row(variant.name, workload, dtype, batch_size, self.options.seeds[0])
        return Measure(variant, row, self._splits(), rounds, warmup_rounds)

    def plan_measurements(self, wanted: Iterable[tuple[Place, Measure]]) -> None:
        """Queues what measurements need behind the trainings, on the same workers."""
        wanted = list(wanted)
        place, seed = self._training_place(), self.options.seeds[0]
        trainings: dict[Variant, Future[TrainingRun]] = {}
        for variant in {job.variant for _, job in wanted}:
            planned = self._crew.planned(place, self.train_job(variant, seed))
            if planned is not None:
                trainings[variant] = planned
        self._measurer.plan(wanted, trainings)

    def measurer(self) -> Measurer:
        """Returns what measures; every training is waited for, so that the machine is idle."""
        self._crew.settle()
        place = self._training_place()
        if not self._is_measuring and place.device == "cpu":
            self._crew.rest(place)  # their memory is free then
        self._is_measuring = True
        return self._measurer

    # Verdicts and pictures

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
    def near_duplicates(self) -> NearDuplicates:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        return self._opened().near_duplicates

    @property
    def load_seconds(self) -> float:
        """Seconds that listing, hashing, decoding and splitting took."""
        return self._opened().seconds

    # The end

    def finish(self) -> None:
        """Ends the workers and writes the tables of everything that was finished."""
        if self._closed:
            return
        self._closed = True
        self._crew.close()
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

    def gpus(self) -> tuple[str, ...]:
        """Returns the GPUs that the backend sees on which trainings run."""
        return available.gpus(self._crew, self.options.training_backend())

    def why_absent(self, backend: str, device: str) -> str | None:
        """Returns why a backend, or a device, can't be measured here; `None` if it can."""
        return available.why_absent(self._crew, backend, device)

    def training_device(self) -> str:
        """Returns where trainings run: the device named first, or with `auto` a GPU if any."""
        if self.options.devices != ("auto",):
            return self.options.devices[0]
        return "gpu" if self.gpus() else "cpu"

    def training_workers(self) -> int:
        """Returns how many trainings run at once."""
        # One training at a time on a GPU: a worker takes the memory of the whole device.
        if kind_of(self.training_device()) == "gpu":
            return 1
        return self.options.workers or environment.usable_cpus()

    def _training_place(self) -> Place:
        device = self.training_device()
        threads = 1 if device == "cpu" else environment.usable_cpus()
        return Place(self.options.training_backend(), device, threads)

    def _size(self, place: Place) -> int:
        return self.training_workers() if place == self._training_place() else 1

    # What happens to jobs

    def _finished(self, job: Job[Any], title: str, outcome: object) -> None:
        if isinstance(outcome, BaseException):
            why = outcome.reason if isinstance(outcome, JobError) else str(outcome)
            text = "failed for the same reason" if why in self._reasons else f"failed: {why}"
            self._reasons.add(why)
            self.progress.finished(title, text, counted=job.is_recorded())
        elif isinstance(outcome, Record):
            self._record(outcome)
            self.progress.finished(title, in_words(outcome))

    def _record(self, record: Record) -> None:
        with self._lock:
            if self._journal is not None and not self._closed:
                self._journal.append(record)

    def _splits(self) -> Path:
        manifest = self._opened().manifest
        assert manifest is not None  # nothing is trained on leaks
        return manifest

    def _opened(self) -> OpenedPictures:
        assert self._pictures is not None  # start() comes first
        return self._pictures
