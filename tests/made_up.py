"""A session whose trainings and timings are made up, for tests of the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from factories import data_set, measurement, peak, sanity_run, training_run

from cnnbench.machine.place import Place
from cnnbench.models.variants import Variant
from cnnbench.pictures.near_duplicates import NearDuplicates
from cnnbench.records.checks import CheckResult
from cnnbench.records.measurements import Measurement, Peak, Row, Workload
from cnnbench.records.runs import DataSet, SanityKind, SanityRun, TrainingRun
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.workers.jobs import Measure
from cnnbench.session.workers.process import JobError


@dataclass
class World:
    """What the sessions of a test find.

    `accuracy` gives that of a training or its error; `planned`, `measured` and `judged` is what
    they were asked for.
    """

    accuracy: Callable[[str, int], float | JobError] = lambda variant, seed: 0.75
    timed: Callable[[Place, Row], Measurement] | None = None
    start: Callable[[], None] = lambda: None
    check_models: Callable[[], None] = lambda: None
    why_absent: Callable[[str, str], str | None] = lambda backend, device: None
    leaks: tuple[str, ...] = ()
    sessions: list[MadeUp] = field(default_factory=list)
    planned: list[object] = field(default_factory=list)
    rows: list[Measure] = field(default_factory=list)
    measured: list[tuple[Place, Measure]] = field(default_factory=list)
    judged: list[CheckResult] = field(default_factory=list)


class MadeUp:
    """Stands for `cnnbench.session.session.Session`, and starts no process."""

    def __init__(
        self,
        world: World,
        options: Options,
        root: Path,
        say: Callable[[str], None],
        show: Callable[[str], None] | None = None,
    ) -> None:
        self.world, self.options = world, options
        self.progress = Progress(say, show)
        self.directory, self.report = Path("reports/made-up"), None
        self.environment = {"data": {"name": "pets"}}
        self.data_set: DataSet = data_set()
        self.leaks, self.load_seconds = world.leaks, 0.5
        self.near_duplicates = NearDuplicates()
        self.runs: dict[tuple[str, int], TrainingRun] = {}
        self.finished = False
        world.sessions.append(self)

    def start(self) -> None:
        self.world.start()

    def check_models(self, variants: Iterable[Variant]) -> None:
        self.world.check_models()

    def train_job(self, variant: Variant, seed: int) -> tuple[str, int]:
        return variant.name, seed

    def sanity_job(self, kind: SanityKind, variant: Variant) -> tuple[str, str]:
        return variant.name, kind

    def plan(self, jobs: Iterable[object]) -> None:
        self.world.planned += jobs

    def training_run(self, variant: Variant, seed: int) -> TrainingRun:
        accuracy = self.world.accuracy(variant.name, seed)
        if isinstance(accuracy, JobError):
            raise accuracy
        run = training_run(variant=variant.name, seed=seed, val_accuracy=accuracy)
        return self.runs.setdefault((variant.name, seed), run)

    def sanity_run(self, kind: SanityKind, variant: Variant) -> SanityRun:
        return sanity_run(kind=kind, variant=variant.name)

    def train_all(self, wanted: Sequence[tuple[Variant, int]]) -> list[TrainingRun | Exception]:
        done: list[TrainingRun | Exception] = []
        for variant, seed in wanted:
            try:
                done.append(self.training_run(variant, seed))
            except JobError as error:
                done.append(error)
        return done

    def may_train(self, count: int) -> bool:
        return True

    def finished_runs(self, variant: Variant) -> list[TrainingRun]:
        return [run for run in self.runs.values() if run.variant == variant.name]

    def training_device(self) -> str:
        return "cpu"

    def measuring_place(self, backend: str, device: str) -> Place:
        return Place(backend, device, 2)

    def measure_job(
        self,
        variant: Variant,
        workload: Workload,
        dtype: str,
        batch_size: int,
        rounds: int,
        warmup_rounds: int,
    ) -> Measure:
        row = Row(variant.name, workload, dtype, batch_size, self.options.seeds[0])
        return Measure(variant, row, Path("splits"), rounds, warmup_rounds)

    def plan_measurements(self, wanted: Iterable[tuple[Place, Measure]]) -> None:
        self.world.rows += [job for _, job in wanted]

    def why_absent(self, backend: str, device: str) -> str | None:
        return self.world.why_absent(backend, device)

    def measurer(self) -> MadeUp:
        return self

    def peak(self, place: Place, dtype: str) -> Peak:
        return replace(peak(dtype=dtype), place=place)

    def measurements(self, place: Place, job: Measure) -> tuple[Measurement, ...]:
        self.world.measured.append((place, job))
        timed = self.world.timed or (lambda place, row: measurement(row=row, place=place))
        return (timed(place, job.row),)

    def sweep(self, place: Place, job: Measure) -> tuple[Measurement, ...]:
        sizes = (1, 2, 4)
        jobs = [replace(job, row=replace(job.row, batch_size=size)) for size in sizes]
        return tuple(one for job in jobs for one in self.measurements(place, job))

    def judge(self, result: CheckResult) -> None:
        self.world.judged.append(result)

    def finish(self) -> None:
        self.finished = True
