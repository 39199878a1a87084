"""Speeds of two reports, row by row: ratios with intervals, and a gate over them. Pure.

The unit is the process: rounds of one process share its memory layout, its compilation and the
state of the machine, so they show how steady a process was and not how the next one will be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Literal

import numpy as np

from cnnbench.comparing.speeds import ACROSS, SPEED_COLUMNS, ReportSpeeds, Speed, differing
from cnnbench.machine.backends import kind_of
from cnnbench.stats.intervals import Estimate, Interval, mean_of, spread_of, widened
from cnnbench.verdicts.gates import ratio as gates

# The median of a normal sample has this many times the error of its mean: sqrt(pi / 2).
MEDIAN_ERROR = math.sqrt(math.pi / 2)
LEAST_PROCESSES = 3  # per side, for a verdict; two show next to nothing of their own noise

# What an interval rests on, the weakest first; `none` has no interval.
Basis = Literal["none", "rounds", "processes"]
_BASES: tuple[Basis, ...] = ("none", "rounds", "processes")


@dataclass(frozen=True)
class Ratio:
    """The later speed over the first; `change` is the later's log seconds minus the first's."""

    change: Estimate
    basis: Basis

    @property
    def value(self) -> float:
        return math.exp(-self.change.value)

    @property
    def interval(self) -> Interval:
        """The 95 % interval; from 0 to infinity where nothing is known."""
        found = self.change.interval()
        return Interval(*np.exp((-found.high, -found.low)).tolist())


@dataclass(frozen=True)
class Match:
    """A row of the first report and its partner in the later one; once judged, with a verdict."""

    first: Speed
    later: Speed
    verdict: str = ""
    p_slower: float = 1.0
    p_margin: float = 1.0
    reason: str = ""

    @cached_property
    def ratio(self) -> Ratio:
        """NaN where a side has no time."""
        (before, one), (after, other) = _estimate(self.first), _estimate(self.later)
        return Ratio(_difference(before, after), min(one, other, key=_BASES.index))

    @property
    def differing(self) -> tuple[str, ...]:
        """Conditions of the rows that differ, a line each."""
        return differing(self.first.conditions, self.later.conditions)

    @property
    def problems(self) -> tuple[str, ...]:
        first = [f"{each} (first)" for each in self.first.problems]
        return (*first, *(f"{each} (later)" for each in self.later.problems))

    @property
    def usable(self) -> Ratio | None:
        """The ratio, if there is one and neither side has a problem."""
        return None if self.problems or math.isnan(self.ratio.value) else self.ratio

    @property
    def testable(self) -> Estimate | None:
        """The change, if there are enough processes to judge it."""
        fewest = min(len(self.first.processes), len(self.later.processes))
        return self.usable.change if self.usable and fewest >= LEAST_PROCESSES else None


@dataclass(frozen=True)
class SpeedComparison:
    """A later report compared with the first, or a report with itself.

    `unmatched` has a line for each row of the first that has no partner, with the reason, and
    `extra` one for each of the later.
    """

    first: ReportSpeeds
    later: ReportSpeeds
    matches: tuple[Match, ...]
    unmatched: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        """Conditions of the reports that differ, a line each."""
        return differing(self.first.conditions, self.later.conditions)

    @property
    def usable(self) -> list[Ratio]:
        """The ratios of rows without a problem."""
        return [one.usable for one in self.matches if one.usable]

    @property
    def mean(self) -> Ratio | None:
        """The geometric mean of the usable ratios; `None` where there is none.

        Rows that the same processes measured rise and fall together, so the rows are averaged
        within each process first. Where rows do not share their processes, the error is the mean of
        the rows' errors: at most that large, however they depend on each other.
        """
        if not self.usable:
            return None
        basis = min((one.basis for one in self.usable), key=_BASES.index)
        before = _mean_by_process([one.first for one in self.matches if one.usable])
        after = _mean_by_process([one.later for one in self.matches if one.usable])
        if basis == "processes" and before is not None and after is not None:
            return Ratio(_difference(before, after), basis)
        changes = [one.change for one in self.usable]
        value, error = fmean(one.value for one in changes), fmean(one.error for one in changes)
        return Ratio(Estimate(value, error, min(one.df for one in changes)), basis)


def compare_all(
    reports: Sequence[ReportSpeeds], across: Sequence[str] = ()
) -> list[SpeedComparison]:
    """Compares the first report with each other one; a single one with itself.

    Rows are partners if variant, workload, backend, kind of device, dtype and batch size are the
    same, and rows of one variant only if it is the same network. Columns in `across`, of `ACROSS`,
    may differ; every row of the first is then compared with every partner. Within one report the
    first row of each group is compared with the others.
    """
    if any(name not in ACROSS for name in across):
        raise ValueError(
            f"Expected columns among {', '.join(ACROSS)}. Received: across={','.join(across)!r}"
        )
    if not reports or (len(reports) == 1 and not across):
        raise ValueError(
            "Expected two reports, or one and the columns to compare across. "
            f"Received: reports={len(reports)}, across={','.join(across)!r}"
        )
    empty = [report.label for report in reports if not report.rows]
    if empty:
        raise ValueError(f"No throughput was measured. Received: reports={', '.join(empty)}")
    first, *others = reports
    if not others:
        matches = tuple(Match(*pair) for pair in _within(first.rows, across))
        return [SpeedComparison(first, first, matches, unmatched=(), extra=())]
    return [_compare(first, later, across) for later in others]


def _compare(first: ReportSpeeds, later: ReportSpeeds, across: Sequence[str]) -> SpeedComparison:
    matches, unmatched, extra = [], [], list(later.rows)
    for speed in first.rows:
        found = _partners(speed, later.rows, across)
        matches += [Match(speed, other) for other in found]
        extra = [other for other in extra if not any(other is one for one in found)]
        if not found:
            is_other = _alike(speed, later.rows, across)
            why = "another network (fingerprint) under the same name" if is_other else "no such row"
            unmatched.append(f"{speed}: {why}")
    return SpeedComparison(
        first, later, tuple(matches), tuple(unmatched), extra=tuple(map(str, extra))
    )


def _key(speed: Speed, across: Sequence[str]) -> tuple[object, ...]:
    values = {**vars(speed), "device": kind_of(speed.device)}
    return tuple(values[name] for name in SPEED_COLUMNS if name not in across)


def _alike(speed: Speed, rows: Sequence[Speed], across: Sequence[str]) -> list[Speed]:
    return [other for other in rows if _key(other, across) == _key(speed, across)]


def _is_same_network(one: Speed, other: Speed) -> bool:
    return one.variant != other.variant or one.fingerprint == other.fingerprint


def _partners(speed: Speed, rows: Sequence[Speed], across: Sequence[str]) -> list[Speed]:
    found = [other for other in _alike(speed, rows, across) if _is_same_network(speed, other)]
    # gpu:1 belongs to gpu:1 where there is one, else to any.
    same = [other for other in found if other.device == speed.device]
    return same if same and "device" not in across else found


def _within(rows: Sequence[Speed], across: Sequence[str]) -> Iterator[tuple[Speed, Speed]]:
    for speed in rows:
        head, *others = _alike(speed, rows, across)
        if head is speed:
            yield from ((head, other) for other in others if _is_same_network(head, other))


def _estimate(speed: Speed) -> tuple[Estimate, Basis]:
    logs = list(speed.log_seconds.values())
    if len(logs) > 1:
        return mean_of(logs), "processes"
    rounds = [math.log(each) for own in speed.processes.values() for each in own]
    if len(rounds) < 2:
        return Estimate(sum(rounds) if rounds else math.nan, math.nan, 0.0), "none"
    spread = spread_of(rounds)
    error = MEDIAN_ERROR * spread.sd / math.sqrt(len(rounds))
    return Estimate(logs[0], error, spread.df), "rounds"


def _difference(first: Estimate, later: Estimate) -> Estimate:
    """Returns later minus first with both errors: Welch's, each with its own variance."""
    change = Estimate(later.value - first.value, later.error, later.df)
    return widened(change, first.error**2, first.df)


def _mean_by_process(speeds: Sequence[Speed]) -> Estimate | None:
    if len({tuple(speed.log_seconds) for speed in speeds}) > 1:
        return None
    logs = zip(*(speed.log_seconds.values() for speed in speeds), strict=True)
    return mean_of([fmean(one) for one in logs])


@dataclass(frozen=True)
class SpeedVerdict:
    """The verdict over all matches, now judged: fail if one fails, pass if all pass.

    `unmatched` counts rows of the first report that were not compared; any prevents a pass.
    """

    verdict: gates.Decision
    rule: gates.RatioRule
    comparisons: tuple[SpeedComparison, ...]
    unmatched: int

    @property
    def rows(self) -> list[Match]:
        return [match for one in self.comparisons for match in one.matches]


def judge_speeds(
    comparisons: Sequence[SpeedComparison], rule: gates.RatioRule, *, allow_missing: bool = False
) -> SpeedVerdict:
    """Judges every match; all of them are one family.

    A match with fewer than three processes per side is inconclusive. A later row that ran out of
    memory or answers wrongly where the first did not fails without statistics. Error rates are
    about the noise between processes, and not about a machine that differs from time to time.
    """
    family = [each.testable for one in comparisons for each in one.matches if each.testable]
    found = iter(gates.judge_ratios([[change] for change in family], rule))
    judged = tuple(
        replace(
            one,
            matches=tuple(
                _judged(each, next(found), rule, len(family)) if each.testable else _untested(each)
                for each in one.matches
            ),
        )
        for one in comparisons
    )
    unmatched = 0 if allow_missing else sum(len(one.unmatched) for one in comparisons)
    verdicts = {match.verdict for one in judged for match in one.matches}
    verdict: gates.Decision = "fail" if "fail" in verdicts else "inconclusive"
    if verdicts == {"pass"} and not unmatched:
        verdict = "pass"
    return SpeedVerdict(verdict, rule, judged, unmatched)


def _judged(match: Match, found: gates.RatioVerdict, rule: gates.RatioRule, family: int) -> Match:
    reasons = {"fail": "slower, by the margin or more", "pass": "not slower by the margin"}
    if found.verdict in reasons:
        return replace(match, **vars(found), reason=reasons[found.verdict])
    logs = [list(side.log_seconds.values()) for side in (match.first, match.later)]
    sd = math.hypot(*(spread_of(each).sd for each in logs))
    needed = gates.ratio_values_needed(match.ratio.change.value, sd, rule, family)
    reason = "noise; not even 1000 processes per side would decide"
    if needed is not None:
        more = max(needed, 1 + max(map(len, logs)))
        reason = f"noise; about --cnnbench-processes={more} would be needed to decide"
    return replace(match, **vars(found), reason=reason)


def _untested(match: Match) -> Match:
    new = [problem for problem in match.later.problems if problem not in match.first.problems]
    if new:
        return replace(match, verdict="fail", reason=f"{', '.join(new)} in the later report")
    if not match.usable:
        reason = ", ".join(match.problems) or "no time on one side"
    else:
        reason = (
            f"{len(match.first.processes)} and {len(match.later.processes)} processes; a verdict "
            f"needs {LEAST_PROCESSES} per side: measure with "
            f"--cnnbench-processes={LEAST_PROCESSES} or more"
        )
    return replace(match, verdict="inconclusive", reason=reason)
