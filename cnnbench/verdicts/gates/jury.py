"""Decides gates together: as many seeds as it takes, one error rate for all.

A gate's p values over the looks become one sequential p value, and those of all gates go through
Holm's procedure. A gate passes when the opposite is refuted at beta, for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnnbench.records.records import CheckResult, TrainingRun, Verdict
from cnnbench.stats.sequential import holm, look_plan, nominal_levels, sequential_p_value
from cnnbench.verdicts.gates.evidence import Evidence, Levels, Rule
from cnnbench.verdicts.results import place_of

VariantSeed = tuple[str, int]


@dataclass(frozen=True)
class Gate:
    """One rule for one variant, and the seeds of its first look."""

    rule: Rule
    variant: str
    seeds: tuple[int, ...]

    def title(self) -> str:
        return f"{self.rule.check} of {self.variant}"


class Jury:
    """Judges gates, asking for more seeds while any is undecided.

    ```python
    gate = Gate(AccuracyTarget(0.9), "wide", seeds=(0, 1, 2))
    result = Jury([gate], Levels(), labels, train).verdict(gate)
    ```

    `train` returns the runs of (variant, seed) pairs in order, an exception where a training
    failed. `may_add` is asked before more trainings begin, with their number; `note` is called with
    what is added and why.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        levels: Levels,
        labels: Sequence[int],
        train: Callable[[Sequence[VariantSeed]], list[TrainingRun | Exception]],
        may_add: Callable[[int], bool] = lambda count: True,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._levels, self._labels = levels, labels
        self._train, self._may_add, self._note = train, may_add, note
        self._cases = {gate: _Case(gate, levels.most) for gate in dict.fromkeys(gates)}
        self._done = False

    def verdict(self, gate: Gate) -> CheckResult:
        """Returns a gate's verdict, or raises its error; the first call decides all gates."""
        if not self._done:
            self._deliberate()
            self._done = True
        case = self._cases[gate]
        if case.error is not None:
            raise case.error
        return case.result(self._adjusted()[gate], self._levels.alpha)

    def error(self, gate: Gate, error: Exception) -> CheckResult:
        """Returns the record of a gate that could not be judged."""
        return CheckResult(
            check=gate.rule.check,
            variant=gate.variant,
            verdict="error",
            observed=math.nan,
            threshold=math.nan,
            detail=str(error),
        )

    def _deliberate(self) -> None:
        asked: set[VariantSeed] = set()
        while cases := [case for case in self._cases.values() if case.open]:
            wanted = list(dict.fromkeys(one for case in cases for one in case.wanted()))
            if asked:
                new = len(set(wanted) - asked)
                if not self._may_add(new):
                    return
                titles = ", ".join(case.gate.title() for case in cases)
                self._note(f"undecided: {titles}; {new} more training{'s' if new > 1 else ''}")
            asked.update(wanted)
            runs = dict(zip(wanted, self._train(wanted), strict=True))
            for case in cases:
                # Those of the last look, if no other gate fails
                alpha = nominal_levels(self._levels.alpha / len(self._cases), case.looks)[-1]
                beta = nominal_levels(self._levels.beta, case.looks)[-1]
                levels = Levels(alpha, beta, case.looks[-1])
                case.look([runs[one] for one in case.wanted()], self._labels, levels)
            self._decide()

    def _decide(self) -> None:
        adjusted = self._adjusted()
        for gate, case in self._cases.items():
            if case.verdict is not None:
                continue
            if case.evidence[-1].settled is not None:
                case.verdict = case.evidence[-1].settled
            elif adjusted[gate] <= self._levels.alpha:
                case.verdict = "fail"
            elif case.p_pass <= self._levels.beta:
                case.verdict = "pass"

    def _adjusted(self) -> dict[Gate, float]:
        p_values = holm([case.p_fail for case in self._cases.values()])
        return dict(zip(self._cases, p_values, strict=True))


class _Case:
    """What is known about a gate so far."""

    def __init__(self, gate: Gate, most: int) -> None:
        self.gate = gate
        self.seeds = usable_seeds(gate.seeds, most)
        self.looks = look_plan(len(gate.seeds), len(self.seeds))
        self.evidence: list[Evidence] = []
        self.runs: list[TrainingRun] = []
        self.p_fail = self.p_pass = 1.0
        self.verdict: Verdict | None = None
        self.error: Exception | None = None

    @property
    def open(self) -> bool:
        return self.verdict is None and len(self.evidence) < len(self.looks)

    def wanted(self) -> list[VariantSeed]:
        seeds = self.seeds[: self.looks[len(self.evidence)]]
        return [(self.gate.variant, seed) for seed in seeds]

    def look(
        self, outcomes: Sequence[TrainingRun | Exception], labels: Sequence[int], levels: Levels
    ) -> None:
        self.runs = [one for one in outcomes if isinstance(one, TrainingRun)]
        self.error = next((one for one in outcomes if isinstance(one, Exception)), None)
        try:
            if self.error is None:
                self.evidence.append(self.gate.rule.evidence(self.runs, labels, levels))
        except ValueError as error:
            self.error = error
        self.verdict = "error" if self.error else None
        self.p_fail = sequential_p_value([one.p_fail for one in self.evidence], self.looks)
        self.p_pass = sequential_p_value([one.p_pass for one in self.evidence], self.looks)

    def result(self, p_value: float, alpha: float) -> CheckResult:
        last, detail = self.evidence[-1], self.evidence[-1].detail
        verdict = self.verdict or ("inconclusive" if self.open else last.at_end)
        if verdict == "inconclusive":
            used = f"{len(self.runs)} seed{'s' if len(self.runs) > 1 else ''}"
            why = "because the budget is spent" if self.open else f"after {used}, the most allowed"
            detail = f"{detail}. Undecided {why}: {last.advice}"
        return CheckResult(
            check=self.gate.rule.check,
            **place_of(self.runs),
            verdict=verdict,
            observed=last.observed,
            threshold=last.threshold,
            detail=detail,
            low=last.interval.low,
            high=last.interval.high,
            p_value=p_value,
            alpha=alpha,
            values=len(self.runs),
        )


def usable_seeds(seeds: Sequence[int], most: int) -> tuple[int, ...]:
    """Returns the seeds that a gate may use: those given, and after the largest up to `most`."""
    added = max(0, most - len(seeds))
    return (*seeds, *range(max(seeds) + 1, max(seeds) + 1 + added))
