"""The verdict over log ratios of pairs: numbers in, verdict out. No processes, no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cnnbench.stats.intervals import mean_of, spread_of
from cnnbench.verdicts.gates.ratio import RatioRule, judge_ratios, ratio_values_needed

Verdict = Literal["pass", "fail", "inconclusive", "undecided"]


@dataclass(frozen=True)
class Result:
    """A verdict, `undecided` if more pairs are to come, and everything that it rests on.

    `change` (`low` to `high`) is the mean change of time per picture as a share of A's: above 0 B
    is slower. The p values, of "B is not slower" and "B is slower by the margin or more", hold over
    all looks. `sd` is that of the pairs' log ratios; `more_pairs` would be needed to decide.
    """

    verdict: Verdict
    pairs: int
    looks: tuple[int, ...]
    change: float
    low: float
    high: float
    p_slower: float
    p_margin: float
    sd: float
    more_pairs: int | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data that JSON can hold."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def judge(log_ratios: Sequence[float], rule: RatioRule, *, last: bool = False) -> Result:
    """Seeks a verdict after the pairs so far, by `judge_ratios`.

    With `last` no more pairs will come (a budget); looks that were not reached are not taken.
    """
    pairs = len(log_ratios)
    looks = tuple(look for look in rule.looks if look <= pairs)
    (found,) = judge_ratios([[mean_of(log_ratios[:look]) for look in looks]], rule)
    verdict: Verdict = found.verdict if pairs in looks else "inconclusive"
    if verdict == "inconclusive" and not last and pairs < rule.looks[-1]:
        verdict = "undecided"
    mean, spread = mean_of(log_ratios), spread_of(log_ratios)
    interval = mean.interval()
    needed = ratio_values_needed(mean.value, spread.sd, rule) if pairs > 1 else None
    return Result(
        verdict=verdict,
        pairs=pairs,
        looks=looks,
        change=math.expm1(mean.value),
        low=math.expm1(interval.low),
        high=math.expm1(interval.high),
        p_slower=found.p_slower,
        p_margin=found.p_margin,
        sd=spread.sd if spread.df else math.nan,
        more_pairs=None if needed is None else max(1, needed - pairs),
    )


def in_words(result: Result, rule: RatioRule) -> str:
    """Returns a result that is not `undecided` in one paragraph."""
    headline = {
        "pass": f"PASS: B is not slower by {rule.margin:.1%} or more.",
        "fail": f"FAIL: B is slower, by an estimated {rule.margin:.1%} or more.",
        "inconclusive": "INCONCLUSIVE: the pairs neither show a slowdown nor rule one out.",
    }[result.verdict]
    interval = f"{result.low:+.1%} to {result.high:+.1%}"
    if math.isinf(result.high) or result.low <= -1:
        interval = "unknown from so few pairs"
    text = (
        f"{headline} B's time per picture is {result.change:+.1%} relative to A's (95 % interval "
        f"{interval}), from {result.pairs} pairs of fresh processes with a spread of "
        f"{result.sd:.1%}. Looks after {', '.join(map(str, result.looks)) or 'none'}. "
        f"p = {result.p_slower:.2g} that B is not slower (fails at {rule.alpha:g}), "
        f"p = {result.p_margin:.2g} that B is slower by {rule.margin:.1%} or more (passes at "
        f"{rule.beta:g}); both hold over all looks together."
    )
    if result.verdict != "inconclusive":
        return text
    if result.more_pairs is None:
        return f"{text} Not even 1000 pairs would decide."
    return f"{text} About {result.more_pairs} more pairs would be needed to decide."
