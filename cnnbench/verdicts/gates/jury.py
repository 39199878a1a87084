"""Decides all gates of a session together: as many seeds as it takes, one error rate for all.

Each gate is looked at after a few seeds and, while it is open, after more. Its p values over the
looks become one sequential p value, and those of all gates go through Holm's procedure: the
chance that any gate of the session fails although all is well is at most alpha. A gate passes
when the opposite is refuted at beta, for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cnnbench.records.checks import CheckResult, Verdict
from cnnbench.records.runs import TrainingRun
from cnnbench.stats.families import holm
from cnnbench.stats.sequential import look_plan, nominal_levels, sequential_p_value, shares_of
from cnnbench.verdicts.gates.evidence import Evidence, Levels, Rule


@dataclass(frozen=True)
class Gate:
    """One rule for one variant, and the seeds of its first look."""

    rule: Rule
    variant: str
    seeds: tuple[int, ...]

    def title(self) -> str:
        return f"{self.rule.check} of {self.variant}"


@dataclass
class _Case:
    """What is known about a gate so far."""

    gate: Gate
    looks: tuple[int, ...]
    seeds: tuple[int, ...]
    evidence: list[Evidence] = field(default_factory=list)
    runs: list[TrainingRun] = field(default_factory=list)
    p_fail: float = 1.0
    p_pass: float = 1.0
    verdict: Verdict | None = None
    error: Exception | None = None

    @property
    def open(self) -> bool:
        return self.verdict is None and len(self.evidence) < len(self.looks)

    def next_seeds(self) -> tuple[int, ...]:
        return self.seeds[: self.looks[len(self.evidence)]]

    def add(self, evidence: Evidence) -> None:
        self.evidence.append(evidence)
        shares = shares_of(self.looks)
        self.p_fail = sequential_p_value([one.p_fail for one in self.evidence], shares)
        self.p_pass = sequential_p_value([one.p_pass for one in self.evidence], shares)


class Jury:
    """Judges gates, asking for more seeds while any is open.

    Args:
        gates: all gates of the session: they share the error rate.
        levels: error rates and the most seeds.
        labels: of the held-out pictures.
        train: returns the runs of (variant, seed) pairs, in order; an entry is the exception
            where a training failed.
        may_add: asked before more trainings begin, with their number; false ends the adding.
        note: called with what is added and why.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        levels: Levels,
        labels: Sequence[int],
        train: Callable[[Sequence[tuple[str, int]]], list[TrainingRun | Exception]],
        may_add: Callable[[int], bool] = lambda count: True,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._levels, self._labels = levels, labels
        self._train, self._may_add, self._note = train, may_add, note
        self._cases = {gate: _case(gate, levels.most) for gate in dict.fromkeys(gates)}
        self._done = False

    def verdict(self, gate: Gate) -> CheckResult:
        """Returns a gate's verdict; the first one asked for decides all.

        Raises:
            Exception: the error of a training without which the gate can't be judged.
            ValueError: if it is none of the gates that share the error rate.
        """
        if gate not in self._cases:
            raise ValueError(
                "All gates of a session must be known before the first is judged: request the "
                f"gate's fixture as an argument of the test. Received: gate={gate.title()!r}"
            )
        self._deliberate()
        case = self._cases[gate]
        if case.error is not None:
            raise case.error
        adjusted = dict(zip(self._cases, self._adjusted(), strict=True))
        return self._result(case, adjusted[gate])

    def error(self, gate: Gate, error: Exception) -> CheckResult:
        """Returns the record of a gate that could not be judged."""
        return CheckResult(
            check=gate.rule.check,
            variant=gate.variant,
            seed=None,
            backend="",
            device="",
            dtype="",
            batch_size=None,
            verdict="error",
            observed=math.nan,
            threshold=math.nan,
            detail=str(error),
        )

    def _deliberate(self) -> None:
        first = True
        while not self._done:
            open_cases = [case for case in self._cases.values() if case.open]
            wanted = dict.fromkeys(
                (case.gate.variant, seed) for case in open_cases for seed in case.next_seeds()
            )
            known = {(run.variant, run.seed) for c in self._cases.values() for run in c.runs}
            new = [job for job in wanted if job not in known]
            if not open_cases or not (first or self._may_add(len(new))):
                self._done = True
                return
            if not first:
                titles = ", ".join(case.gate.title() for case in open_cases)
                self._note(f"undecided: {titles}; {len(new)} more trainings")
            self._look(open_cases, dict(zip(wanted, self._train(list(wanted)), strict=True)))
            first = False

    def _look(
        self, cases: Sequence[_Case], runs: dict[tuple[str, int], TrainingRun | Exception]
    ) -> None:
        for case in cases:
            own = [runs[case.gate.variant, seed] for seed in case.next_seeds()]
            broken = [one for one in own if isinstance(one, Exception)]
            if broken:
                case.error, case.verdict = broken[0], "error"
                continue
            case.runs = [one for one in own if isinstance(one, TrainingRun)]
            try:
                evidence = case.gate.rule.evidence(case.runs, self._labels, self._last(case))
            except ValueError as error:
                case.error, case.verdict = error, "error"
                continue
            case.add(evidence)
        self._decide()

    def _last(self, case: _Case) -> Levels:
        """Returns the levels that the last look of a gate has, if no other gate fails."""
        shares = shares_of(case.looks)
        alpha = nominal_levels(self._levels.alpha / len(self._cases), shares)[-1]
        return Levels(alpha, nominal_levels(self._levels.beta, shares)[-1], case.looks[-1])

    def _decide(self) -> None:
        for case, p_fail in zip(self._cases.values(), self._adjusted(), strict=True):
            if case.verdict is not None or not case.evidence:
                continue
            settled = case.evidence[-1].settled
            if settled is not None:
                case.verdict = settled
            elif p_fail <= self._levels.alpha:
                case.verdict = "fail"
            elif case.p_pass <= self._levels.beta:
                case.verdict = "pass"

    def _adjusted(self) -> tuple[float, ...]:
        return holm([case.p_fail for case in self._cases.values()])

    def _result(self, case: _Case, p_fail: float) -> CheckResult:
        last, run = case.evidence[-1], case.runs[0]
        verdict = case.verdict or ("inconclusive" if case.open else last.at_end)
        detail = last.detail
        if verdict == "inconclusive":
            used = f"{len(case.runs)} seed{'s' if len(case.runs) > 1 else ''}"
            why = "because the budget is spent" if case.open else f"after {used}, the most allowed"
            detail = f"{detail}. Undecided {why}: {last.advice}"
        return CheckResult(
            check=case.gate.rule.check,
            variant=case.gate.variant,
            seed=None,
            backend=run.backend,
            device=run.device,
            dtype=run.dtype,
            batch_size=run.batch_size,
            verdict=verdict,
            observed=last.observed,
            threshold=last.threshold,
            detail=detail,
            low=last.interval.low,
            high=last.interval.high,
            p_value=p_fail,
            alpha=self._levels.alpha,
            values=len(case.runs),
        )


def usable_seeds(seeds: Sequence[int], most: int) -> tuple[int, ...]:
    """Returns the seeds that a gate may use: those given, and after the largest up to `most`."""
    added = max(0, most - len(seeds))
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + added))


def _case(gate: Gate, most: int) -> _Case:
    seeds = usable_seeds(gate.seeds, most)
    return _Case(gate, look_plan(len(gate.seeds), len(seeds)), seeds)
