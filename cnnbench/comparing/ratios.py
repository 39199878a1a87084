"""Speeds of two reports, row by row: ratios with intervals. Pure.

The unit is the process: rounds of one process share its memory layout, its compilation and the
state of the machine, so they show how steady a process was and not how the next one will be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from cnnbench.comparing.speeds import ACROSS, SPEED_COLUMNS, ReportSpeeds, Speed
from cnnbench.machine.backends import kind_of
from cnnbench.stats.intervals import Estimate, Interval, mean_of, spread_of, widened
from cnnbench.verdicts.gates.ratio import (
    Decision,
    RatioRule,
    RatioVerdict,
    judge_ratios,
    ratio_values_needed,
)

# The median of a normal sample has this many times the error of its mean: sqrt(pi / 2).
MEDIAN_ERROR = math.sqrt(math.pi / 2)

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
        return Interval(_exp(-found.high), _exp(-found.low))


@dataclass(frozen=True)
class Match:
    """A row of the first report and its partner in the later one.

    `ratio` is `None` where a side has no time. `differing` has a line for each condition of the
    rows that differs, `problems` one for each side's problem.
    """

    first: Speed
    later: Speed
    ratio: Ratio | None
    differing: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class SpeedComparison:
    """A later report compared with the first.

    Args:
        first, later: the reports; the same one where a report is compared within.
        matches: compared rows.
        differing: conditions of the reports that differ, a line each.
        unmatched: for each row of the first that has no partner, why.
        extra: rows of the later that have none.
    """

    first: ReportSpeeds
    later: ReportSpeeds
    matches: tuple[Match, ...]
    differing: tuple[str, ...]
    unmatched: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def usable(self) -> list[Match]:
        """The matches that have a ratio and no problem."""
        return [one for one in self.matches if one.ratio is not None and not one.problems]

    @property
    def mean(self) -> Ratio | None:
        """The geometric mean of the usable matches' ratios; `None` where there is none.

        Rows that the same processes measured rise and fall together, so the rows are averaged
        within each process first. Where rows do not share their processes, the error is the mean of
        the rows' errors: at most that large, however they depend on each other.
        """
        kept = self.usable
        ratios = [one.ratio for one in kept if one.ratio is not None]
        if not ratios:
            return None
        basis = min((one.basis for one in ratios), key=_BASES.index)
        before = _mean_by_process([one.first for one in kept])
        after = _mean_by_process([one.later for one in kept])
        if basis == "processes" and before is not None and after is not None:
            return Ratio(_difference(before, after), basis)
        changes = [one.change for one in ratios]
        value, error = fmean(one.value for one in changes), fmean(one.error for one in changes)
        return Ratio(Estimate(value, error, min(one.df for one in changes)), basis)


def compare_all(
    reports: Sequence[ReportSpeeds], across: Sequence[str] = ()
) -> list[SpeedComparison]:
    """Compares the first report with each other one; a single one with itself.

    Rows are partners if variant, workload, backend, kind of device, dtype and batch size are the
    same, and rows of one variant only if it is the same network. Columns in `across` may differ;
    every row of the first is then compared with every partner. Within one report the first row of
    each group is compared with the others.

    Args:
        reports: what to compare.
        across: columns of `ACROSS`.

    Raises:
        ValueError: if there is nothing to compare, or `across` names another column.
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
    return [_compare(first, later, across) for later in others or [first]]


def _compare(first: ReportSpeeds, later: ReportSpeeds, across: Sequence[str]) -> SpeedComparison:
    is_within = first is later
    pairs = list(_within(first, across) if is_within else _partners(first, later, across))
    matched = {id(speed) for pair in pairs for speed in pair}
    alone = [] if is_within else [speed for speed in first.rows if id(speed) not in matched]
    extra = [] if is_within else [speed for speed in later.rows if id(speed) not in matched]
    return SpeedComparison(
        first=first,
        later=later,
        matches=tuple(_match(*pair) for pair in pairs),
        differing=_differing(first.conditions, later.conditions),
        unmatched=tuple(f"{speed}: {_why_alone(speed, later, across)}" for speed in alone),
        extra=tuple(map(str, extra)),
    )


def _key(speed: Speed, across: Sequence[str]) -> tuple[object, ...]:
    values = {**vars(speed), "device": kind_of(speed.device)}
    return tuple(values[name] for name in SPEED_COLUMNS if name not in across)


def _is_same_network(one: Speed, other: Speed) -> bool:
    return one.variant != other.variant or one.fingerprint == other.fingerprint


def _partners(
    first: ReportSpeeds, later: ReportSpeeds, across: Sequence[str]
) -> Iterator[tuple[Speed, Speed]]:
    for speed in first.rows:
        found = [
            other
            for other in later.rows
            if _key(other, across) == _key(speed, across) and _is_same_network(speed, other)
        ]
        if "device" not in across:
            # gpu:1 belongs to gpu:1 where there is one, else to any.
            found = [other for other in found if other.device == speed.device] or found
        yield from ((speed, other) for other in found)


def _within(report: ReportSpeeds, across: Sequence[str]) -> Iterator[tuple[Speed, Speed]]:
    groups: dict[tuple[object, ...], list[Speed]] = {}
    for speed in report.rows:
        groups.setdefault(_key(speed, across), []).append(speed)
    for head, *others in groups.values():
        yield from ((head, other) for other in others if _is_same_network(head, other))


def _why_alone(speed: Speed, later: ReportSpeeds, across: Sequence[str]) -> str:
    if any(_key(other, across) == _key(speed, across) for other in later.rows):
        return "another network (fingerprint) under the same name"
    for name in ("dtype", "batch_size", "device", "backend"):
        lifted = (*across, name)
        found = [one for one in later.rows if _key(one, lifted) == _key(speed, lifted)]
        if found:
            return f"only with {name} {', '.join(str(getattr(one, name)) for one in found)}"
    return f"not in {later.label}"


def _match(first: Speed, later: Speed) -> Match:
    sides = (("first", first), ("later", later))
    return Match(
        first=first,
        later=later,
        ratio=_ratio(first, later) if first.processes and later.processes else None,
        differing=_differing(first.conditions, later.conditions),
        problems=tuple(f"{each} ({side})" for side, speed in sides for each in speed.problems),
    )


def _ratio(first: Speed, later: Speed) -> Ratio:
    (before, one), (after, other) = _estimate(first), _estimate(later)
    return Ratio(_difference(before, after), min(one, other, key=_BASES.index))


def _estimate(speed: Speed) -> tuple[Estimate, Basis]:
    if len(speed.processes) > 1:
        return mean_of([each.log_seconds for each in speed.processes]), "processes"
    (only,) = speed.processes
    if math.isnan(only.round_sd):
        return Estimate(only.log_seconds, math.nan, 0.0), "none"
    error = MEDIAN_ERROR * only.round_sd / math.sqrt(only.rounds)
    return Estimate(only.log_seconds, error, only.rounds - 1), "rounds"


def _difference(first: Estimate, later: Estimate) -> Estimate:
    """Returns later minus first with both errors: Welch's, each with its own variance."""
    change = Estimate(later.value - first.value, later.error, later.df)
    return widened(change, first.error**2, first.df)


def _mean_by_process(speeds: Sequence[Speed]) -> Estimate | None:
    if len({tuple(each.number for each in speed.processes) for speed in speeds}) > 1:
        return None
    columns = zip(*(speed.processes for speed in speeds), strict=True)
    return mean_of([fmean(each.log_seconds for each in one) for one in columns])


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {one.get(name) or '?'} and {other.get(name) or '?'}"
        for name in dict.fromkeys((*one, *other))
        if (one.get(name) or "") != (other.get(name) or "")
    )


LEAST_PROCESSES = 3  # per side; two show next to nothing of their own noise
REASONS = {"fail": "slower, by the margin or more", "pass": "not slower by the margin"}


@dataclass(frozen=True)
class JudgedMatch:
    """A match, its verdict, and why."""

    match: Match
    found: RatioVerdict
    reason: str

    @property
    def verdict(self) -> Decision:
        return self.found.verdict


@dataclass(frozen=True)
class SpeedVerdict:
    """The verdict over all matches: fail if one fails, pass if all pass.

    `unmatched` counts rows of the first report that were not compared; any prevents a pass.
    """

    verdict: Decision
    rule: RatioRule
    rows: tuple[JudgedMatch, ...]
    unmatched: int


def judge_speeds(
    comparisons: Sequence[SpeedComparison], rule: RatioRule, *, allow_missing: bool = False
) -> SpeedVerdict:
    """Judges every match; all of them are one family.

    A match with fewer than three processes per side is inconclusive. A later row that ran out of
    memory or answers wrongly where the first did not fails without statistics.

    Args:
        comparisons: of all reports.
        rule: margin and error rates.
        allow_missing: whether rows without a partner don't matter.
    """
    matches = [match for one in comparisons for match in one.matches]
    tested = {
        index: [one.ratio.change]
        for index, one in enumerate(matches)
        if one.ratio is not None and not one.problems and _fewest(one) >= LEAST_PROCESSES
    }
    found = dict(zip(tested, judge_ratios(list(tested.values()), rule), strict=True))
    rows = tuple(
        _judged(one, found[index], rule, len(tested)) if index in found else _untested(one)
        for index, one in enumerate(matches)
    )
    unmatched = 0 if allow_missing else sum(len(one.unmatched) for one in comparisons)
    verdicts = {row.verdict for row in rows}
    verdict: Decision = "inconclusive"
    if "fail" in verdicts:
        verdict = "fail"
    elif verdicts == {"pass"} and not unmatched:
        verdict = "pass"
    return SpeedVerdict(verdict, rule, rows, unmatched)


def _fewest(match: Match) -> int:
    return min(len(match.first.processes), len(match.later.processes))


def _judged(match: Match, found: RatioVerdict, rule: RatioRule, family: int) -> JudgedMatch:
    if found.verdict != "inconclusive":
        return JudgedMatch(match, found, REASONS[found.verdict])
    assert match.ratio is not None
    sd = math.hypot(_sd(match.first), _sd(match.later))
    needed = ratio_values_needed(match.ratio.change.value, sd, rule, family)
    if needed is None:
        return JudgedMatch(match, found, "noise; not even 1000 processes per side would decide")
    more = max(needed, 1 + max(len(match.first.processes), len(match.later.processes)))
    return JudgedMatch(
        match, found, f"noise; about --cnnbench-processes={more} would be needed to decide"
    )


def _sd(speed: Speed) -> float:
    return spread_of([each.log_seconds for each in speed.processes]).sd


def _untested(match: Match) -> JudgedMatch:
    new = [problem for problem in match.later.problems if problem not in match.first.problems]
    verdict: Decision = "fail" if new else "inconclusive"
    if new:
        reason = f"{', '.join(new)} in the later report"
    elif match.problems or match.ratio is None:
        reason = ", ".join(match.problems) or "no time on one side"
    else:
        reason = (
            f"{len(match.first.processes)} and {len(match.later.processes)} processes; a verdict "
            f"needs {LEAST_PROCESSES} per side: measure with "
            f"--cnnbench-processes={LEAST_PROCESSES} or more"
        )
    return JudgedMatch(match, RatioVerdict(verdict, p_slower=1.0, p_margin=1.0), reason)
