"""The gate over ratios of speed: is a row slower by more than a margin? Pure.

The stated error rates are about the noise between processes. That a machine differs from one time
to another is not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnnbench.comparing.ratios import Match, SpeedComparison
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
