"""The gate over ratios of speed: is a row slower by more than a margin? Pure.

Two errors have stated rates: `alpha`, that any row fails although none is slower (all rows
together, by Holm), and `beta`, that a row which is slower by the margin passes. Both are about the
noise between processes; that a machine differs from one time to another is not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cnnbench.comparing.ratios import Ratio
from cnnbench.comparing.speeds import Speed
from cnnbench.stats.families import holm
from cnnbench.stats.intervals import spread_of
from cnnbench.stats.power import values_needed

Verdict = Literal["pass", "fail", "inconclusive"]
LEAST_PROCESSES = 3  # per side; two show next to nothing of their own noise


@dataclass(frozen=True)
class Rule:
    """What is decided, and how surely.

    Args:
        margin: share of time a picture from which on a slowdown matters.
        alpha: chance that any of all rows fails though none is slower.
        beta: chance that a row slower by `margin` passes.
    """

    margin: float
    alpha: float = 0.01
    beta: float = 0.05

    @property
    def log_margin(self) -> float:
        return math.log1p(self.margin)


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
    verdict: Verdict
    p_slower: float
    p_margin: float
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The verdict over all rows: fail if one fails, pass if all pass."""

    verdict: Verdict
    rule: Rule
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


def judge(ratios: Sequence[Ratio], rule: Rule, *, unmatched: int = 0) -> Outcome:
    """Judges every row; all of them are one family.

    Fail: "not slower" is refuted at `alpha` by all rows together, and the estimate is at least
    the margin. Pass: "slower by the margin" is refuted at `beta`. What noise can't decide is
    inconclusive, as is every row with fewer than three processes a side. A later report that
    ran out of memory or answers wrongly where the first did not fails without statistics.

    Args:
        ratios: of all reports that are compared.
        rule: margin and error rates.
        unmatched: rows of the first report without a partner; any keeps the gate from a pass.
    """
    tested = [index for index, one in enumerate(ratios) if _is_testable(one)]
    raw = [ratios[index].change for index in tested]
    adjusted = holm([each.p_above(0.0) for each in raw if each is not None])
    p_slower = dict(zip(tested, adjusted, strict=True))
    rows = [
        _judged(one, p_slower.get(index, 1.0), rule, len(tested))
        for index, one in enumerate(ratios)
    ]
    verdicts = {row.verdict for row in rows}
    verdict: Verdict = "pass"
    if "fail" in verdicts:
        verdict = "fail"
    elif "inconclusive" in verdicts or not rows or unmatched:
        verdict = "inconclusive"
    return Outcome(verdict, rule, tuple(rows), unmatched)


def _is_testable(one: Ratio) -> bool:
    fewest = min(len(one.first.processes), len(one.later.processes))
    return one.change is not None and not one.problems and fewest >= LEAST_PROCESSES


def _judged(one: Ratio, p_slower: float, rule: Rule, rows: int) -> Judged:
    undecided = Judged(one, "inconclusive", 1.0, 1.0, "")
    new = [problem for problem in one.later.problems if problem not in one.first.problems]
    if new:
        return replace(undecided, verdict="fail", reason=f"{', '.join(new)} in the later report")
    if one.problems or one.change is None:
        return replace(undecided, reason=", ".join(one.problems) or "no time on one side")
    counts = len(one.first.processes), len(one.later.processes)
    if min(counts) < LEAST_PROCESSES:
        reason = (
            f"{counts[0]} and {counts[1]} processes; a verdict needs {LEAST_PROCESSES} per side: "
            f"measure with --cnnbench-processes={LEAST_PROCESSES} or more"
        )
        return replace(undecided, reason=reason)
    found = Judged(one, "inconclusive", p_slower, one.change.p_below(rule.log_margin), "")
    if p_slower <= rule.alpha and one.change.value >= rule.log_margin:
        return replace(found, verdict="fail", reason="slower, by the margin or more")
    if found.p_margin <= rule.beta:
        return replace(found, verdict="pass", reason="not slower by the margin")
    return replace(found, reason=_how_many(one, rule, rows))


def _how_many(one: Ratio, rule: Rule, rows: int) -> str:
    """Returns how many processes per side would be needed to decide."""
    assert one.change is not None
    sd = math.hypot(_sd(one.first), _sd(one.later))
    if one.change.value >= rule.log_margin:
        needed = values_needed(one.change.value, sd, rule.alpha / rows)
    else:
        needed = values_needed(rule.log_margin - one.change.value, sd, rule.beta)
    if needed is None:
        return "noise; not even 1000 processes per side would decide"
    least = max(needed, len(one.first.processes) + 1, len(one.later.processes) + 1)
    return f"noise; about --cnnbench-processes={least} would be needed to decide"


def _sd(speed: Speed) -> float:
    return spread_of([each.log_seconds for each in speed.processes]).sd
