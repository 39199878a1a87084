"""What fixtures do while tests run: ask the session, show what was measured, keep verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.clock import show_rounds
from cnnbench.plugin.gates import Gates, targets_of
from cnnbench.plugin.items import options_of, variant_of
from cnnbench.session.option_parsers import SWEEP
from cnnbench.verdicts.targets import Targets, read_targets

if TYPE_CHECKING:
    from cnnbench.records.checks import CheckResult, Verdict
    from cnnbench.records.measurements import Measurement, Workload
    from cnnbench.records.runs import SanityKind, SanityRun, TrainingRun
    from cnnbench.session.session import Session

Request = pytest.FixtureRequest
T = TypeVar("T")
JUNIT = ["check", "verdict", "observed", "threshold", "low", "high", "p_value", "alpha", "values"]


@dataclass
class Running:
    """What a pytest session has of cnnbench's.

    `gates` is `None` if the pictures can't be trained on. `reds` has a verdict for each failed test
    that was undecided or could not be judged, `errors` the test that showed an error in full.
    """

    session: Session
    gates: Gates | None = None
    reds: list[Verdict] = field(default_factory=list)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)
    read_targets: Callable[[Path], Targets] = field(default_factory=lambda: cache(read_targets))

    def targets_of(self, item: pytest.Item) -> Targets:
        """Returns the targets of a test; each file is read once."""
        return targets_of(item, self.read_targets)


RUNNING_KEY = pytest.StashKey[Running]()


def running_of(request: Request) -> Running:
    """Returns the state of this pytest session, or fails the test if there is none."""
    running = request.config.stash.get(RUNNING_KEY, None)
    if running is None:
        fail(
            "cnnbench starts processes of its own and measures on an idle machine: run this test "
            "without xdist (-n 0)."
        )
    return running


def usable(request: Request) -> Session:
    """Returns the session, or fails the test if its pictures can't be trained on."""
    session = running_of(request).session
    if session.leaks:
        request.session.shouldfail = "the held-out set is not held out"
        fail("Nothing is trained: " + "\n".join(session.leaks))
    return session


def ask(request: Request, variant: Variant, question: Callable[[Session], T]) -> T:
    """Returns a session's answer, or fails the test if a worker could not give one."""
    from cnnbench.session.workers.process import JobError

    try:
        return question(usable(request))
    except JobError as error:
        fail(_in_full_once(request, variant, error))


def training_run(request: Request, value: Variant | str, seed: int) -> TrainingRun:
    """Returns the training of a variant under a seed."""
    variant = variant_of(value)
    return ask(request, variant, lambda session: session.training_run(variant, seed))


def sanity_run(
    request: Request, benchmark: Any, value: Variant | str, kind: SanityKind
) -> SanityRun:
    """Returns a sanity training, and shows its seconds."""
    variant = variant_of(value)
    run = ask(request, variant, lambda session: session.sanity_run(kind, variant))
    show_rounds(request, benchmark, [run.seconds])
    benchmark.extra_info.update(variant=run.variant, accuracy=run.accuracy, steps=run.steps)
    return run


@dataclass(frozen=True)
class Spot:
    """Where and how a test measures, as its fixtures say."""

    variant: Variant
    backend: str
    device: str
    dtype: str
    batch_size: int | str

    def measure(
        self, request: Request, benchmark: Any, workload: Workload
    ) -> tuple[Measurement, ...]:
        """Returns a measurement per process or per batch size of a sweep, or skips the test."""
        session, options = usable(request), options_of(request.node)
        why = session.why_absent(self.backend, self.device)
        if why is not None:
            pytest.skip(why)
        sweep, once = self.batch_size == SWEEP, bool(benchmark.disabled)
        place = session.measuring_place(self.backend, self.device)
        job = session.measure_job(
            variant=self.variant,
            workload=workload,
            dtype=self.dtype,
            batch_size=0 if sweep else int(self.batch_size),
            rounds=1 if once else options.rounds,
            warmup_rounds=0 if once else options.warmup_rounds,
        )

        def measured(session: Session) -> tuple[Measurement, ...]:
            measurer = session.measurer()
            measurer.peak(place, self.dtype)
            return measurer.sweep(place, job) if sweep else measurer.measurements(place, job)

        return ask(request, self.variant, measured)


def show_speed(request: Request, benchmark: Any, found: Sequence[Measurement]) -> Measurement:
    """Shows the rounds of the fastest batch size as seconds per picture, and returns it."""
    from cnnbench.report.rows import throughput_row

    best = max(found, key=lambda one: one.images_per_second)
    size = best.row.batch_size
    if best.out_of_memory:
        pytest.skip(f"batch size {size} does not fit into memory; throughput.csv has the row")
    seconds = [
        seconds / (one.steps_per_round * size)
        for one in found
        if one.row.batch_size == size
        for seconds in one.round_seconds
    ]
    show_rounds(request, benchmark, seconds)
    session = usable(request)
    peak = session.measurer().peak(best.place, best.row.dtype)
    runs = [run.val_accuracy for run in session.finished_runs() if run.variant == best.row.variant]
    accuracy = sum(runs) / len(runs) if runs else None
    benchmark.extra_info.update(throughput_row(best, peak), accuracy=accuracy)
    return best


def gate_result(request: Request, value: Variant | str) -> CheckResult:
    """Returns the verdict on the gate behind the requesting fixture; without a gate, skips."""
    usable(request)
    running, variant = running_of(request), variant_of(value)
    assert running.gates is not None  # since the pictures are usable
    gate = running.gates.asked.get((request.node.nodeid, str(request.fixturename)))
    if isinstance(gate, str):
        pytest.skip(gate)
    if gate is None or gate.variant != variant.name:
        fail(
            "All gates of a session must be known before the first is judged: request the gate's "
            "fixture as an argument of the test, and choose variants with "
            "@pytest.mark.cnnbench(variants=...), not with a fixture of your own. "
            f"Received: {request.fixturename} of {variant.name}"
        )
    try:
        return running.gates.jury.verdict(gate)
    except Exception as error:  # whatever went wrong is the verdict
        _keep(request, running.gates.jury.error(gate, error))
        running.reds.append("error")
        why = _in_full_once(request, variant, error)
        fail(f"{gate.title()} could not be judged: {why}")


def judge(request: Request, result: CheckResult) -> None:
    """Records a check's result, and fails the test if it did not pass."""
    _keep(request, result)
    if result.verdict == "pass":
        return
    running = running_of(request)
    text = f"{result.check} {result.verdict}: {result.variant} {result.detail}"
    if result.verdict == "inconclusive":
        if running.session.options.inconclusive == "allow":
            pytest.xfail(text)
        running.reds.append("inconclusive")
    fail(text)


def _keep(request: Request, result: CheckResult) -> None:
    running_of(request).session.judge(result)
    values = [(name, getattr(result, name)) for name in JUNIT]
    request.node.user_properties += [(name, value) for name, value in values if value is not None]


def _in_full_once(request: Request, variant: Variant, error: Exception) -> str:
    """Returns an error in full for the first test of a variant, and for others where it is."""
    known = (variant.name, getattr(error, "reason", str(error)))
    first = running_of(request).errors.setdefault(known, request.node.nodeid)
    if first != request.node.nodeid:
        return f"{variant.name} can't be used: see {first}"
    return f"{error}\n{getattr(error, 'details', '')}".strip()


def fail(message: str) -> NoReturn:
    # Not beside the error that it words: that would be said twice.
    raise pytest.fail.Exception(message, pytrace=False) from None
