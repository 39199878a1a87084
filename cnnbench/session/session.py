"""One session: pictures, workers, journal and report, and each job done exactly once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnnbench.machine import environment
from cnnbench.machine.backends import kind_of, require_backends
from cnnbench.models.variants import Variant, variant_named
from cnnbench.records.checks import CheckResult
from cnnbench.records.codec import Record
from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.records.measurements import Measurement
from cnnbench.records.runs import DataSet, Environment, SanityKind, SanityRun, TrainingRun
from cnnbench.report.folder import new_report_folder
from cnnbench.report.in_words import in_words
from cnnbench.session.measuring import Measuring
from cnnbench.session.opened_pictures import OpenedPictures, open_pictures
from cnnbench.session.options import Options
from cnnbench.session.prepared import References
from cnnbench.session.presence import Presence
from cnnbench.session.progress import Progress
from cnnbench.session.wanted import Wanted
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import CheckModels, Job, Sanity, Train
from cnnbench.session.workers.process import JobError, Result, WorkerSpec

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
        self._crew = Crew(self.progress, self._finished)
        self.presence = Presence(options, self._crew, self.progress)
        self._measuring: Measuring | None = None
        self._references: References | None = None
        self.wanted: tuple[Wanted, ...] = ()
        self._lock = threading.Lock()
        self._reasons: set[str] = set()
        self._journal: Journal | None = None
        self._pictures: OpenedPictures | None = None
        self._closed = False
        # The manifest for the workers names paths of this machine: nothing for a report.
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")

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
        self.directory = new_report_folder(options.report_dir, identity["commit"])
        self._journal = Journal(self.directory / JOURNAL_NAME)
        if not environment.may_have_gpu():
            # They import the backend, which takes seconds, while pictures are read.
            self._crew.pool(self._training_spec(), self.training_workers()).warm_up(1)
        self._pictures = open_pictures(options, Path(self._scratch.name), self.progress.note)
        self.presence.require_devices()
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
            self._references = References(
                *(options, self._crew, self.progress, self._splits()),
                *(Path(self._scratch.name), self._weights),
            )

    def check_models(self, variants: Iterable[str]) -> None:
        """Builds each model once, so that a bad one is reported before any training.

        Raises:
            ValueError: names the problems of all models.
        """
        job = CheckModels(tuple(variant_named(name) for name in variants), self._splits())
        answer = cast(dict[str, list[str]], self.progress.wait(self._train(job)))
        if answer["problems"]:
            raise ValueError("\n".join(answer["problems"]))

    def plan(self, jobs: Iterable[Job]) -> None:
        """Submits trainings ahead, in order; each distinct one once."""
        for job in jobs:
            self._train(job)

    def plan_measurements(self, wanted: Iterable[Wanted]) -> None:
        """Queues the reference answers behind the trainings, on the same workers."""
        self.wanted = tuple(wanted)
        spec, first = self._reference_spec(), self.options.seeds[0]

        def trained(variant: str) -> Future[Result] | None:
            return self._crew.planned(self._training_spec(), self.train_job(variant, first))

        questions = [one.question() for one in self.wanted if one.batch_size]
        workers = self.training_workers() if spec == self._training_spec() else 1
        assert self._references is not None
        made = self._references.plan(questions, spec, workers, trained)
        if made:
            # By then every training has begun: a CPU is idle soon, and imports take seconds.
            spot = self.wanted[0].spot
            measurer = WorkerSpec(spot.backend, spot.device, self._measuring_threads())
            made[0].add_done_callback(lambda _: self._crew.warm_up(measurer))

    def train_job(self, variant: str, seed: int) -> Train:
        made = variant_named(variant)
        # The network of the first seed answers when speeds are measured, too.
        kept = str(self._weights(made)) if seed == self.options.seeds[0] else ""
        return Train(made, self._splits(), seed, self.options.training_protocol(), kept)

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
        return cast(TrainingRun, self.progress.wait(self._train(self.train_job(variant, seed))))

    def sanity_run(self, kind: SanityKind, variant: str) -> SanityRun:
        """Returns the outcome of a sanity training."""
        return cast(SanityRun, self.progress.wait(self._train(self.sanity_job(kind, variant))))

    def measuring(self) -> Measuring:
        """Returns what measures; every training is waited for, so that the machine is idle."""
        self._crew.settle()
        threads = self._measuring_threads()
        for spec in (self._training_spec(), self._reference_spec()):
            if spec.device == "cpu" and spec.threads != threads:
                self._crew.rest(spec)
        if self._measuring is None:
            assert self._references is not None
            self._measuring = Measuring(
                *(self.options, self._crew, self.progress, self._splits(), self._references),
                *(threads, self._record, self.wanted),
            )
        return self._measuring

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
    def near_duplicates(self) -> NearDuplicates:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        return self._opened().near_duplicates

    @property
    def load_seconds(self) -> float:
        """Seconds that listing, hashing, decoding and splitting took."""
        return self._opened().seconds

    def gpus(self) -> tuple[str, ...]:
        """Returns the GPUs that the backend sees on which trainings run."""
        return self.presence.gpus(self.options.training_backend())

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

    def _training_spec(self) -> WorkerSpec:
        device = self.training_device()
        threads = 1 if device == "cpu" else environment.usable_cpus()
        return WorkerSpec(self.options.training_backend(), device, threads)

    def _train(self, job: Job) -> Future[Result]:
        return self._crew.submit(self._training_spec(), job, self.training_workers())

    def _weights(self, variant: Variant) -> Path:
        return Path(self._scratch.name) / f"{variant.fingerprint()}-trained.npz"

    def _reference_spec(self) -> WorkerSpec:
        return WorkerSpec(self.options.training_backend(), "cpu", 1)

    def _measuring_threads(self) -> int:
        return self.options.threads or environment.usable_cpus()

    # What happens to jobs

    def _finished(self, job: Job, outcome: Result | BaseException) -> None:
        if isinstance(outcome, BaseException):
            why = outcome.reason if isinstance(outcome, JobError) else str(outcome)
            text = "failed for the same reason" if why in self._reasons else f"failed: {why}"
            self._reasons.add(why)
            self.progress.finished(job.title(), text)
        elif isinstance(outcome, dict):
            self.progress.count()
        else:
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
