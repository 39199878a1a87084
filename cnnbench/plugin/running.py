"""What fixtures do while tests run: ask the session, show what was measured, keep verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.clock import CLOCK, show_rounds
from cnnbench.plugin.gates import Gates, no_target, targets_of
from cnnbench.plugin.items import Spot, options_of, variant_of
from cnnbench.session.options import SWEEP
from cnnbench.verdicts.targets import Targets, read_targets

if TYPE_CHECKING:
    from cnnbench.records.records import (
        CheckResult,
        Measurement,
        SanityKind,
        SanityRun,
        TrainingRun,
        Verdict,
        Workload,
    )
    from cnnbench.session.session import Session

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
        self._request, self._node, self._benchmark = request, request.node, benchmark
        self._running = running

    def leaks(self) -> tuple[str, ...]:
        """Returns a line for each picture that is on both sides; ends the session if any is."""
        if self._running.session.leaks:
            self._request.session.shouldfail = "the held-out set is not held out"
        return tuple(self._running.session.leaks)

    def load_seconds(self) -> float:
        return self._running.session.load_seconds

    def session(self) -> Session:
        """Returns the session, if its pictures can be trained on."""
        if leaks := self.leaks():
            _fail("Nothing is trained: " + "\n".join(leaks))
        return self._running.session

    def show(self, seconds: Sequence[float], **extra_info: object) -> None:
        """Shows recorded seconds as the rounds of this test's benchmark."""
        show_rounds(self._node.stash[CLOCK], self._benchmark, seconds)
        self._benchmark.extra_info.update(extra_info)

    def training_run(self, value: Variant | str, seed: int) -> TrainingRun:
        variant = variant_of(value)
        return self._answer(variant, lambda session: session.training_run(variant, seed))

    def training_runs(self, value: Variant | str) -> tuple[TrainingRun, ...]:
        return tuple(self.training_run(value, seed) for seed in options_of(self._node).seeds)

    def sanity_run(self, value: Variant | str, kind: SanityKind) -> SanityRun:
        """Returns a sanity training and shows its seconds."""
        variant = variant_of(value)
        run = self._answer(variant, lambda session: session.sanity_run(kind, variant))
        self.show([run.seconds], variant=run.variant, accuracy=run.accuracy, steps=run.steps)
        return run

    def measure(self, spot: Spot, workload: Workload) -> tuple[Measurement, ...]:
        """Returns a measurement per process, or per batch size of a sweep."""
        session, options = self.session(), options_of(self._node)
        if why := session.why_absent(spot.backend, spot.device):
            pytest.skip(why)
        place, job = spot.job(session, options, workload, once=self._benchmark.disabled)

        def measured(session: Session) -> tuple[Measurement, ...]:
            measurer = session.measurer()
            measurer.peak(place, spot.dtype)
            sweep = spot.batch_size == SWEEP
            return measurer.sweep(place, job) if sweep else measurer.measurements(place, job)

        return self._answer(spot.variant, measured)

    def speed(self, spot: Spot, workload: Workload) -> Measurement:
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

    def targets(self) -> Callable[[str], float]:
        """Returns what looks up the thresholds of this test, which is skipped without one."""
        data = self.session().data_set.name
        targets, variant = targets_of(self._node, self._running.read_targets), ""
        if "cnnbench_variant" in self._request.fixturenames:
            variant = variant_of(self._request.getfixturevalue("cnnbench_variant")).name

        def target(name: str) -> float:
            value = targets.get(name, data, variant)
            if value is None:
                pytest.skip(no_target(name, data, variant))
            return value

        return target

    def gate(self, value: Variant | str, fixture: str) -> CheckResult:
        """Returns the verdict on the gate behind a fixture; without a gate, skips."""
        self.session()
        variant, gates = variant_of(value), self._running.gates
        assert gates is not None  # since the pictures are usable
        gate = gates.asked.get((self._node.nodeid, fixture))
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
            self._running.reds.append("error")
            _fail(f"{gate.title()} could not be judged: {self._in_full_once(variant, error)}")

    def judge(self, result: CheckResult) -> None:
        """Records a check's result, and fails the test if it did not pass."""
        self._keep(result)
        if result.verdict == "pass":
            return
        text = f"{result.check} {result.verdict}: {result.variant} {result.detail}"
        if result.verdict == "inconclusive":
            if self._running.session.options.inconclusive == "allow":
                pytest.xfail(text)
            self._running.reds.append("inconclusive")
        _fail(text)

    def _keep(self, result: CheckResult) -> None:
        self._running.session.judge(result)
        values = [(name, getattr(result, name)) for name in JUNIT]
        self._node.user_properties += [(name, value) for name, value in values if value is not None]

    def _answer(self, variant: Variant, question: Callable[[Session], T]) -> T:
        from cnnbench.session.workers.process import JobError

        try:
            return question(self.session())
        except JobError as error:
            _fail(self._in_full_once(variant, error))

    def _in_full_once(self, variant: Variant, error: Exception) -> str:
        """Returns an error in full for the first test of a variant, and for others where it is."""
        known = (variant.name, getattr(error, "reason", str(error)))
        first = self._running.errors.setdefault(known, self._node.nodeid)
        if first != self._node.nodeid:
            return f"{variant.name} can't be used: see {first}"
        return f"{error}\n{getattr(error, 'details', '')}".strip()


def _fail(message: str) -> NoReturn:
    # Not beside the error that it words: that would be said twice.
    raise pytest.fail.Exception(message, pytrace=False) from None
