"""One session: pictures, workers, journal and report."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from cnnbench.machine import backends, environment
from cnnbench.machine.backends import TRAINING_BACKENDS, Place
from cnnbench.models.variants import Variant
from cnnbench.records import records
from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.report.folder import new_report_folder
from cnnbench.session.measurer import Measurer
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import CheckModels, FindGpus, Job, Measure, R, Sanity, Train
from cnnbench.session.workers.process import JobError

if TYPE_CHECKING:
    from cnnbench.pictures.data_set import Splits
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.report.frames import Report

TELL_SECONDS = 2.0  # between lines while pictures are decoded
FINISHED = (records.TrainingRun, records.SanityRun, records.Measurement, records.CheckResult)


class Session:
    """Does the jobs of one session and keeps their records.

    Trainings run ahead, several at a time, on one thread each: results are then the same on any
    number of CPUs. Measurements wait until the machine is otherwise idle. A relative report folder
    is in `root`, whose git commit names the report. After `start`, `leaks` has lines that name
    pictures in both sets; without them there are `splits` and `data_set`.
    """

    splits: Splits
    data_set: records.DataSet
    directory: Path

    def __init__(
        self,
        options: Options,
        root: Path,
        say: Callable[[str], None],
        show: Callable[[str], None] | None = None,
    ) -> None:
        self.options = options
        self.progress = Progress(say, show)
        self.leaks: tuple[str, ...] = ()
        self.load_seconds = 0.0
        self.environment: dict[str, Any] = {}
        self.report: Report | None = None
        self._root = root
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._reasons: set[str] = set()
        self._is_measuring = False
        # The manifest for the workers names paths of this machine: nothing for a report.
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")
        scratch = Path(self._scratch.name)
        self.manifest = scratch / "pictures.json"
        self._crew = Crew(self.progress, self._finished, self._size)
        self._measurer = Measurer(
            self._crew, options.training_backend(), options.processes, scratch, self._planned_run
        )

    def start(self) -> None:
        """Opens the report folder and the pictures and looks for devices.

        A `ValueError` or `OSError` says in one message what the user can mend.
        """
        options, trainer = self.options, self.options.training_backend()
        backends.require_backends(dict.fromkeys([*options.backend_names(), trainer]))
        identity = environment.describe(self._root)
        self.directory = new_report_folder(self._root / options.report_dir, identity["commit"])
        self._journal = Journal(self.directory / JOURNAL_NAME)
        self._open_pictures()
        self._require_devices()
        self.environment = {
            **identity,
            "backend": trainer,
            "backends": list(options.backend_names()),
            "gpus": list(self.gpus(trainer)),
            "training_device": self.training_device(),
            "options": options.to_dict(),
            "data": None if self.leaks else self.data_set.summary(),
        }
        self.keep(records.Environment(self.environment))
        if not self.leaks:
            self.keep(self.data_set)

    def _open_pictures(self) -> None:
        from cnnbench.pictures.data_set import LeakError

        start = time.perf_counter()
        try:
            self.splits = read_splits(self.options, self.progress.note)
        except LeakError as error:
            self.leaks = tuple(str(error).splitlines())
        else:
            self.splits.save(self.manifest)
        self.load_seconds = time.perf_counter() - start
        if not self.leaks:
            self.data_set = data_set_of(self.splits, self.load_seconds)

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        from cnnbench.pictures.near_duplicates import near_duplicates

        return near_duplicates(self.splits)

    def check_models(self, variants: Iterable[Variant]) -> None:
        """Builds each model once: a `ValueError` names the problems of all before any training."""
        if problems := self.trained(CheckModels(tuple(variants), self.manifest)):
            raise ValueError("\n".join(problems))

    def train_job(self, variant: Variant, seed: int) -> Train:
        # The network of the first seed answers when speeds are measured, too.
        kept = self._measurer.trained_weights(variant) if seed == self.options.seeds[0] else None
        return Train(variant, self.manifest, seed, self.options.training_protocol(), kept)

    def _planned_run(self, variant: Variant) -> Future[records.TrainingRun] | None:
        job = self.train_job(variant, self.options.seeds[0])
        return self._crew.planned(self._training_place(), job)

    def sanity_job(self, kind: records.SanityKind, variant: Variant) -> Sanity:
        protocol, seed = self.options.training_protocol(), self.options.seeds[0]
        return Sanity(kind, variant, self.manifest, seed, protocol)

    def plan(self, jobs: Iterable[Train | Sanity]) -> None:
        for job in jobs:
            self._crew.submit(self._training_place(), job)

    def trained(self, job: Job[R]) -> R:
        """Returns the outcome of a job that is done where trainings run, now or ahead."""
        return self._crew.do(self._training_place(), job)

    def train_all(
        self, wanted: Sequence[tuple[Variant, int]]
    ) -> list[records.TrainingRun | Exception]:
        """Returns the runs of variants under seeds, with the error of each that failed."""
        jobs = [self.train_job(variant, seed) for variant, seed in wanted]
        self.plan(jobs)
        done: list[records.TrainingRun | Exception] = []
        for job in jobs:
            try:
                done.append(self.trained(job))
            except JobError as error:
                done.append(error)
        return done

    def may_train(self, count: int) -> bool:
        """Returns whether the budget of seconds has room for more trainings."""
        runs = self.finished_runs()
        if self.options.budget is None or not runs:
            return True
        each = fmean(run.seconds for run in runs) / self._size(self._training_place())
        return self.progress.elapsed() + count * each <= self.options.budget

    def finished_runs(self, variant: Variant | None = None) -> list[records.TrainingRun]:
        """Returns the training runs, of a variant or of all, that are finished by now."""
        with self._lock:
            kept = self._journal.records if self._journal else []
            runs = [one for one in kept if isinstance(one, records.TrainingRun)]
        return [run for run in runs if variant is None or run.variant == variant.name]

    def plan_measurements(self, wanted: Iterable[tuple[Place, Measure]]) -> None:
        """Queues what measurements need behind the trainings, on the same workers."""
        self._measurer.plan(
            (place, job)
            for place, job in wanted
            if self.why_absent(place.backend, place.device) is None
        )

    def measurer(self) -> Measurer:
        """Returns what measures; every training is waited for, so that the machine is idle."""
        self._crew.settle()
        if not self._is_measuring and self.training_device() == "cpu":
            self._crew.rest(self._training_place())  # their memory is free then
        self._is_measuring = True
        return self._measurer

    def gpus(self, backend: str) -> tuple[str, ...]:
        if not environment.may_have_gpu():
            return ()
        return self._crew.do(Place(backend, "gpu", environment.usable_cpus()), FindGpus())

    def why_absent(self, backend: str, device: str) -> str | None:
        """Returns why a backend, or a device, can't be measured here; `None` if it can."""
        if problem := backends.missing(backend):
            return problem
        needed = backends.gpus_needed(device)
        found = len(self.gpus(backend)) if needed else 0
        if found >= needed:
            return None
        return f"{backend} sees {found or 'no'} GPU{'s' if found > 1 else ''} on this machine"

    def training_device(self) -> str:
        """Returns where trainings run: the device named first, or with `auto` a GPU if any."""
        if self.options.devices != ("auto",):
            return self.options.devices[0]
        return "gpu" if self.gpus(self.options.training_backend()) else "cpu"

    def _training_place(self) -> Place:
        device = self.training_device()
        threads = 1 if device == "cpu" else environment.usable_cpus()
        return Place(self.options.training_backend(), device, threads)

    def _size(self, place: Place) -> int:
        # One at a time on a GPU: a worker takes the memory of the whole device.
        is_single = place.device == "cpu" and place.threads == 1
        return self.options.workers or environment.usable_cpus() if is_single else 1

    def _require_devices(self) -> None:
        """Checks devices that were asked for by name: a backend must see them."""
        if self.options.devices == ("auto",):
            return
        trains = [name for name in self.options.backend_names() if name in TRAINING_BACKENDS]
        for device in self.options.devices:
            reasons = [self.why_absent(name, device) for name in trains]
            if reasons and all(reasons):
                raise ValueError(
                    f"--cnnbench-devices asks for {device}, but {'; '.join(filter(None, reasons))}."
                    " Use auto or cpu, or install the backend's GPU build and driver. "
                    f"Received: {','.join(self.options.devices)!r}"
                )

    def keep(self, record: records.Record) -> None:
        """Writes a record into the journal, while the session lasts."""
        with self._lock:
            if self._journal is not None:
                self._journal.append(record)

    def _finished(self, job: Job[Any], title: str, outcome: object) -> None:
        if isinstance(outcome, BaseException):
            why = outcome.reason if isinstance(outcome, JobError) else str(outcome)
            text = "failed for the same reason" if why in self._reasons else f"failed: {why}"
            self._reasons.add(why)
            self.progress.finished(title, text, counted=job.is_recorded())
        elif isinstance(outcome, records.Record):
            self.keep(outcome)
            self.progress.finished(title, str(outcome))

    def finish(self) -> None:
        """Ends the workers and writes the tables of everything that was finished."""
        self._crew.close()
        self._scratch.cleanup()
        with self._lock:
            journal, self._journal = self._journal, None
        if journal is None:
            return
        journal.close()
        if not any(isinstance(record, FINISHED) for record in journal.records):
            journal.path.unlink()
            self.directory.rmdir()  # nothing was finished: an empty report helps nobody
            return
        from cnnbench.report.frames import report_of, write_report

        self.report = report_of(journal.records)
        write_report(self.report, self.directory)


def read_splits(options: Options, say: Callable[[str], None]) -> Splits:
    """Lists, decodes (or takes from the cache) and splits the pictures that the options name."""
    from cnnbench.pictures.data_set import load_splits

    if options.data is None:
        say("reading the embedded pictures; the first session draws them, which takes seconds")
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_SECONDS:
            last = time.monotonic()
            say(f"decoded {done} of {total} pictures")

    return load_splits(
        options.data,
        image_size=options.image_size,
        cache=options.cache_dir,
        split_seed=options.split_seed,
        validation_fraction=options.validation_fraction,
        progress=tell,
    )


def data_set_of(splits: Splits, load_seconds: float) -> records.DataSet:
    labels, classes = splits.train.labels.tolist(), range(len(splits.classes))
    return records.DataSet(
        name=splits.name,
        classes=splits.classes,
        content_hash=splits.content_hash,
        input_shape=splits.input_shape,
        train_pictures=len(labels),
        train_labels_per_class=tuple(map(labels.count, classes)),
        validation_names=splits.validation.names,
        validation_labels=tuple(splits.validation.labels.tolist()),
        load_seconds=load_seconds,
    )
