"""The gate over ratios of speed: is a row slower by more than a margin? Pure.

The stated error rates are about the noise between processes; that a machine differs from one time
to another is not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnnbench.comparing.ratios import Ratio
from cnnbench.comparing.speeds import Speed
from cnnbench.stats.intervals import spread_of
from cnnbench.verdicts.gates.ratio import (
    Decision,
    RatioRule,
    RatioVerdict,
    judge_ratios,
    ratio_values_needed,
)

LEAST_PROCESSES = 3  # per side; two show next to nothing of their own noise


@dataclass(frozen=True)
class Judged:
    """A row's verdict and what it rests on.

    Args:
        ratio: the row.
        verdict: of the row.
        p_slower: p value of "not slower", by Holm over all rows.
        p_margin: p value of "slower by the margin or more".
        reason: in words.
    """

    ratio: Ratio
    verdict: Decision
    p_slower: float
    p_margin: float
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The verdict over all rows: fail if one fails, pass if all pass."""

    verdict: Decision
    rule: RatioRule
    rows: tuple[Judged, ...]
    unmatched: int = 0


def parse_margin(text: str) -> float:
    """Returns the share that a text such as `5%` or `0.05` says.

    Raises:
        ValueError: if it says none above 0 and below 1000 %.
    """
    body, percent, rest = text.strip().partition("%")
    try:
        value = float(body) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if rest.strip() or not 0 < value < 10:
        raise ValueError(
            f"--fail-on: expected a share of time above 0, as 5% or 0.05. Received: {text!r}"
        )
    return value


def judge(ratios: Sequence[Ratio], rule: RatioRule, *, unmatched: int = 0) -> Outcome:
    """Judges every row; all of them are one family.

    Rows are judged by `judge_ratios`. A row with fewer than three processes a side is inconclusive.
    A later report that ran out of memory or answers wrongly where the first did not fails without
    statistics.

    Args:
        ratios: of all reports that are compared.
        rule: margin and error rates.
        unmatched: rows of the first report without a partner; any keeps the gate from a pass.
    """
    tested = {
        index: [one.change]
        for index, one in enumerate(ratios)
        if one.change is not None and _is_testable(one)
    }
    found = dict(zip(tested, judge_ratios(list(tested.values()), rule), strict=True))
    rows = [_judged(one, found.get(index), rule, len(tested)) for index, one in enumerate(ratios)]
    verdicts = {row.verdict for row in rows}
    verdict: Decision = "pass"
    if "fail" in verdicts:
        verdict = "fail"
    elif "inconclusive" in verdicts or not rows or unmatched:
        verdict = "inconclusive"
    return Outcome(verdict, rule, tuple(rows), unmatched)


def _is_testable(one: Ratio) -> bool:
    fewest = min(len(one.first.processes), len(one.later.processes))
    return not one.problems and fewest >= LEAST_PROCESSES


def _judged(one: Ratio, found: RatioVerdict | None, rule: RatioRule, rows: int) -> Judged:
    if found is None:
        verdict, reason = _untested(one)
        return Judged(one, verdict, 1.0, 1.0, reason)
    reason = {
        "fail": "slower, by the margin or more",
        "pass": "not slower by the margin",
        "inconclusive": _how_many(one, rule, rows),
    }[found.verdict]
    return Judged(one, found.verdict, found.p_slower, found.p_margin, reason)


def _untested(one: Ratio) -> tuple[Decision, str]:
    new = [problem for problem in one.later.problems if problem not in one.first.problems]
    if new:
        return "fail", f"{', '.join(new)} in the later report"
    if one.problems or one.change is None:
        return "inconclusive", ", ".join(one.problems) or "no time on one side"
    return "inconclusive", (
        f"{len(one.first.processes)} and {len(one.later.processes)} processes; a verdict needs "
        f"{LEAST_PROCESSES} per side: measure with --cnnbench-processes={LEAST_PROCESSES} or more"
    )


def _how_many(one: Ratio, rule: RatioRule, rows: int) -> str:
    """Returns how many processes per side would be needed to decide."""
    assert one.change is not None
    sd = math.hypot(_sd(one.first), _sd(one.later))
    needed = ratio_values_needed(one.change.value, sd, rule, rows)
    if needed is None:
        return "noise; not even 1000 processes per side would decide"
    least = max(needed, len(one.first.processes) + 1, len(one.later.processes) + 1)
    return f"noise; about --cnnbench-processes={least} would be needed to decide"


def _sd(speed: Speed) -> float:
    return spread_of([each.log_seconds for each in speed.processes]).sd
