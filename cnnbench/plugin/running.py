"""What fixtures do while tests run: ask the session, show what was measured, keep verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.asks import Gates, Spot, variant_of
from cnnbench.records import records

if TYPE_CHECKING:
    from cnnbench.session.session import Session

T = TypeVar("T")
JUNIT = ("check", "verdict", "observed", "threshold", "low", "high", "p_value", "alpha", "values")


class RecordedClock:
    """A timer that brings a worker's own seconds into the tables and JSON of pytest-benchmark."""

    now = 0.0

    def timer(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Running:
    """What a pytest session has of cnnbench's.

    `gates` are there if the pictures can be trained on. `reds` has a verdict for each failed test
    that was undecided or could not be judged, `errors` the test that showed an error in full.
    """

    session: Session
    gates: Gates = field(init=False)
    reds: list[records.Verdict] = field(default_factory=list)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)


CLOCK_KEY = pytest.StashKey[RecordedClock]()
RUNNING_KEY = pytest.StashKey[Running]()


class Asking:
    """A test that asks the session for something; what goes wrong is its failure."""

    def __init__(self, request: pytest.FixtureRequest, benchmark: Any) -> None:
        running = request.config.stash.get(RUNNING_KEY, None)
        if running is None:
            _fail(
                "cnnbench starts processes of its own and measures on an idle machine: run this "
                "test without xdist (-n 0)."
            )
        self.node, self._benchmark, self.running = request.node, benchmark, running

    def leaks(self) -> tuple[str, ...]:
        """Returns a line for each picture that is on both sides; ends the session if any is."""
        if self.running.session.leaks:
            self.node.session.shouldfail = "the held-out set is not held out"
        return self.running.session.leaks

    def session(self) -> Session:
        """Returns the session, if its pictures can be trained on."""
        if leaks := self.leaks():
            _fail("Nothing is trained: " + "\n".join(leaks))
        return self.running.session

    def show(self, seconds: Sequence[float], **extra_info: object) -> None:
        """Shows recorded seconds as the rounds of this test's benchmark."""
        clock, rounds = self.node.stash[CLOCK_KEY], iter(seconds)
        # pytest-benchmark may ask for a further call (under --benchmark-cprofile, say).
        self._benchmark.pedantic(lambda: clock.advance(next(rounds, 0.0)), rounds=len(seconds))
        self._benchmark.extra_info.update(extra_info)

    def training_run(self, value: Variant | str, seed: int) -> records.TrainingRun:
        variant = variant_of(value)
        return self._answer(variant, lambda one: one.trained(one.train_job(variant, seed)))

    def sanity_run(self, value: Variant | str, kind: records.SanityKind) -> records.SanityRun:
        """Returns a sanity training and shows its seconds."""
        variant = variant_of(value)
        run = self._answer(variant, lambda one: one.trained(one.sanity_job(kind, variant)))
        self.show([run.seconds], variant=run.variant, accuracy=run.accuracy, steps=run.steps)
        return run

    def measure(self, spot: Spot, workload: records.Workload) -> tuple[records.Measurement, ...]:
        """Returns a measurement per process, or per batch size of a sweep."""
        if why := self.session().why_absent(spot.backend, spot.device):
            pytest.skip(why)
        place, job = spot.job(self.session(), self.node, workload)

        def measured(session: Session) -> tuple[records.Measurement, ...]:
            measurer = session.measurer()
            measurer.peak(place, spot.dtype)
            measure = measurer.measurements if job.row.batch_size else measurer.sweep
            return measure(place, job)

        return self._answer(spot.variant, measured)

    def speed(self, spot: Spot, workload: records.Workload) -> records.Measurement:
        """Measures, shows the rounds of the fastest batch size per picture, and returns it."""
        from cnnbench.report.rows import throughput_row

        found = self.measure(spot, workload)
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
        runs = self.session().finished_runs(spot.variant)
        accuracy = sum(run.val_accuracy for run in runs) / len(runs) if runs else None
        peak = self.session().measurer().peak(best.place, spot.dtype)
        self.show(seconds, **throughput_row(best, peak), accuracy=accuracy)
        return best

    def gate(self, value: Variant | str, fixture: str) -> records.CheckResult:
        """Returns the verdict on the gate behind a fixture; without a gate, skips."""
        self.session()  # without leaks
        variant, gates = variant_of(value), self.running.gates
        gate = gates.asked.get((self.node.nodeid, fixture))
        if isinstance(gate, str):
            pytest.skip(gate)
        if gate is None or gate.variant != variant.name:
            _fail(
                "All gates of a session must be known before the first is judged: request the "
                "gate's fixture as an argument of the test, and choose variants with "
                "@pytest.mark.cnnbench(variants=...), not with a fixture of your own. "
                f"Received: {fixture} of {variant.name}"
            )
        try:
            return gates.jury.verdict(gate)
        except Exception as error:  # whatever went wrong is the verdict
            self._keep(gates.jury.error(gate, error))
            self.running.reds.append("error")
            _fail(f"{gate.title()} could not be judged: {self._in_full_once(variant, error)}")

    def judge(self, result: records.CheckResult) -> None:
        """Records a check's result, and fails the test if it did not pass."""
        self._keep(result)
        if result.verdict == "pass":
            return
        text = f"{result.check} {result.verdict}: {result.variant} {result.detail}"
        if result.verdict == "inconclusive":
            if self.running.session.options.inconclusive == "allow":
                pytest.xfail(text)
            self.running.reds.append("inconclusive")
        _fail(text)

    def _keep(self, result: records.CheckResult) -> None:
        self.running.session.keep(result)
        values = [(name, getattr(result, name)) for name in JUNIT]
        self.node.user_properties += [(name, value) for name, value in values if value is not None]

    def _answer(self, variant: Variant, question: Callable[[Session], T]) -> T:
        from cnnbench.session.workers.process import JobError

        try:
            return question(self.session())
        except JobError as error:
            _fail(self._in_full_once(variant, error))

    def _in_full_once(self, variant: Variant, error: Exception) -> str:
        """Returns an error in full for the first test of a variant, and for others where it is."""
        known = (variant.name, getattr(error, "reason", str(error)))
        first = self.running.errors.setdefault(known, self.node.nodeid)
        if first != self.node.nodeid:
            return f"{variant.name} can't be used: see {first}"
        return in_full(error)


def in_full(error: Exception) -> str:
    """Returns an error with its details, such as a worker's traceback, if it has any."""
    return f"{error}\n{getattr(error, 'details', '')}".strip()


def _fail(message: str) -> NoReturn:
    # Not beside the error that it words: that would be said twice.
    raise pytest.fail.Exception(message, pytrace=False) from None
