"""One session: pictures, workers, journal and report."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.machine import environment
from cnnbench.machine.backends import (
    TRAINING_BACKENDS,
    Place,
    gpus_needed,
    missing,
    require_backends,
)
from cnnbench.models.variants import Variant
from cnnbench.records.journal import JOURNAL_NAME, Journal
from cnnbench.records.records import (
    CheckResult,
    DataSet,
    Environment,
    Measurement,
    Record,
    Row,
    SanityKind,
    SanityRun,
    TrainingRun,
    Workload,
)
from cnnbench.report.folder import new_report_folder
from cnnbench.session.measurer import Measurer
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import CheckModels, FindGpus, Job, Measure, Sanity, Train
from cnnbench.session.workers.process import JobError

if TYPE_CHECKING:
    from cnnbench.pictures.data_set import Splits
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.report.frames import Report

TELL_SECONDS = 2.0  # between lines while pictures are decoded
FINISHED = (TrainingRun, SanityRun, Measurement, CheckResult)


class Session:
    """Does the jobs of one session and keeps their records.

    Trainings run ahead, several at a time, on one thread each: results are then the same
    on any number of CPUs. Measurements wait until the machine is otherwise idle.

    After `start`, `leaks` has lines that name pictures in both sets; without them there are
    `splits` and `data_set`.

    Args:
        options: the session's options.
        root: folder that a relative report folder is in, and whose git commit names the report.
        say: prints a line of progress.
        show: shows what runs while it is waited for, see `Progress`.
    """

    splits: Splits
    data_set: DataSet
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
        self._is_measuring = self._is_closed = False
        # The manifest for the workers names paths of this machine: nothing for a report.
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")
        scratch = Path(self._scratch.name)
        self._manifest = scratch / "pictures.json"
        self._crew = Crew(self.progress, self._finished, self._size)
        self._measurer = Measurer(
            self._crew, options.training_backend(), options.processes, scratch, self._planned_run
        )

    def start(self) -> None:
        """Opens the report folder and the pictures and looks for devices.

        Raises:
            ValueError, OSError: for anything that the user can mend, in one message.
        """
        options = self.options
        require_backends(dict.fromkeys([*options.backend_names(), options.training_backend()]))
        identity = environment.describe(self._root)
        self.directory = new_report_folder(self._root / options.report_dir, identity["commit"])
        self._journal = Journal(self.directory / JOURNAL_NAME)
        if not environment.may_have_gpu():
            # They import the backend, which takes seconds, while pictures are read.
            self._crew.warm_up(self._training_place())
        self._open_pictures()
        self._require_devices()
        self.environment = {
            **identity,
            "backend": options.training_backend(),
            "backends": list(options.backend_names()),
            "gpus": list(self.gpus(options.training_backend())),
            "training_device": self.training_device(),
            "options": options.to_dict(),
            "data": None if self.leaks else self.data_set.summary(),
        }
        self._record(Environment(self.environment))
        if not self.leaks:
            self._record(self.data_set)

    def _open_pictures(self) -> None:
        from cnnbench.pictures.data_set import LeakError

        start = time.perf_counter()
        try:
            self.splits = read_splits(self.options, self.progress.note)
        except LeakError as error:
            self.leaks = tuple(str(error).splitlines())
        else:
            self.splits.save(self._manifest)
        self.load_seconds = time.perf_counter() - start
        if not self.leaks:
            self.data_set = data_set_of(self.splits, self.load_seconds)

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        from cnnbench.pictures.near_duplicates import near_duplicates

        return near_duplicates(self.splits)

    # Trainings

    def check_models(self, variants: Iterable[Variant]) -> None:
        """Builds each model once, so that a bad one is reported before any training.

        Raises:
            ValueError: names the problems of all models.
        """
        job = CheckModels(tuple(variants), self._manifest)
        problems = self._crew.do(self._training_place(), job)
        if problems:
            raise ValueError("\n".join(problems))

    def train_job(self, variant: Variant, seed: int) -> Train:
        """Returns the training of a variant under a seed, for `plan`."""
        # The network of the first seed answers when speeds are measured, too.
        kept = self._measurer.trained_weights(variant) if seed == self.options.seeds[0] else None
        return Train(variant, self._manifest, seed, self.options.training_protocol(), kept)

    def _planned_run(self, variant: Variant) -> Future[TrainingRun] | None:
        job = self.train_job(variant, self.options.seeds[0])
        return self._crew.planned(self._training_place(), job)

    def sanity_job(self, kind: SanityKind, variant: Variant) -> Sanity:
        """Returns a sanity training of a variant, for `plan`."""
        protocol, seed = self.options.training_protocol(), self.options.seeds[0]
        return Sanity(kind, variant, self._manifest, seed, protocol)

    def plan(self, jobs: Iterable[Train | Sanity]) -> None:
        """Submits trainings ahead, in order; each distinct one once."""
        for job in jobs:
            self._crew.submit(self._training_place(), job)

    def training_run(self, variant: Variant, seed: int) -> TrainingRun:
        """Returns the run of a variant under a seed, trained now or ahead."""
        return self._crew.do(self._training_place(), self.train_job(variant, seed))

    def sanity_run(self, kind: SanityKind, variant: Variant) -> SanityRun:
        """Returns the outcome of a sanity training, trained now or ahead."""
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
        return Measure(variant, row, self._manifest, rounds, warmup_rounds)

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
        place = self._training_place()
        if not self._is_measuring and place.device == "cpu":
            self._crew.rest(place)  # their memory is free then
        self._is_measuring = True
        return self._measurer

    # Where jobs run

    def gpus(self, backend: str) -> tuple[str, ...]:
        """Returns the names of the GPUs that a backend sees."""
        if not environment.may_have_gpu():
            return ()
        return self._crew.do(Place(backend, "gpu", environment.usable_cpus()), FindGpus())

    def why_absent(self, backend: str, device: str) -> str | None:
        """Returns why a backend, or a device, can't be measured here; `None` if it can."""
        problem = missing(backend)
        if problem is not None:
            return problem
        needed = gpus_needed(device)
        found = len(self.gpus(backend)) if needed else 0
        if found >= needed:
            return None
        return f"{backend} sees {found or 'no'} GPU{'s' if found > 1 else ''} on this machine"

    def training_device(self) -> str:
        """Returns where trainings run: the device named first, or with `auto` a GPU if any."""
        if self.options.devices != ("auto",):
            return self.options.devices[0]
        return "gpu" if self.gpus(self.options.training_backend()) else "cpu"

    def training_workers(self) -> int:
        """Returns how many trainings run at once."""
        return self._size(self._training_place())

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

    # Records

    def judge(self, result: CheckResult) -> None:
        """Keeps a verdict."""
        self._record(result)

    def _finished(self, job: Job[Any], title: str, outcome: object) -> None:
        if isinstance(outcome, BaseException):
            why = outcome.reason if isinstance(outcome, JobError) else str(outcome)
            text = "failed for the same reason" if why in self._reasons else f"failed: {why}"
            self._reasons.add(why)
            self.progress.finished(title, text, counted=job.is_recorded())
        elif isinstance(outcome, Record):
            self._record(outcome)
            self.progress.finished(title, str(outcome))

    def _record(self, record: Record) -> None:
        with self._lock:
            if self._journal is not None and not self._is_closed:
                self._journal.append(record)

    def finish(self) -> None:
        """Ends the workers and writes the tables of everything that was finished."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._crew.close()
        self._scratch.cleanup()
        if self._journal is None:
            return
        self._journal.close()
        if not any(isinstance(record, FINISHED) for record in self._journal.records):
            self._journal.path.unlink()
            self.directory.rmdir()  # nothing was finished: an empty report helps nobody
            return
        from cnnbench.report.frames import report_of, write_report

        self.report = report_of(self._journal.records)
        write_report(self.report, self.directory)


def read_splits(options: Options, say: Callable[[str], None]) -> Splits:
    """Lists, decodes (or takes from the cache) and splits the pictures that the options name.

    Args:
        options: name the folder; none is the embedded drawn set.
        say: called every other second while pictures are decoded.

    Raises:
        LeakError: if a picture is in both sets.
        ValueError, OSError: if the folder or a picture is unusable; names what and why.
    """
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


def data_set_of(splits: Splits, load_seconds: float) -> DataSet:
    """Returns the record of a data set."""
    labels, classes = splits.train.labels.tolist(), range(len(splits.classes))
    return DataSet(
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
