"""The verdict over log ratios of pairs: numbers in, verdict out. No processes, no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cnnbench.stats.intervals import mean_of, spread_of
from cnnbench.stats.paired import hodges_lehmann
from cnnbench.verdicts.gates.ratio import RatioRule, judge_ratios, ratio_values_needed

Verdict = Literal["pass", "fail", "inconclusive", "undecided"]

NORMAL_MAD = 1.4826  # median absolute deviation to standard deviation, of a normal distribution


@dataclass(frozen=True)
class Result:
    """A verdict and everything that it rests on. Changes are shares of A's time per picture.

    Args:
        verdict: `undecided` asks for more pairs, `inconclusive` has no more.
        pairs: measured so far.
        looks: after how many pairs a verdict was sought.
        change, low, high: mean change of time with its interval; above 0 B is slower.
        robust, robust_low, robust_high: the same by Hodges and Lehmann, which outliers hardly move.
        p_slower: p value of "B is not slower", over all looks.
        p_small: p value of "B is slower by the margin or more", over all looks.
        sd: standard deviation of the pairs' log ratios.
        robust_sd: their median absolute deviation, scaled to a standard deviation.
        more_pairs: pairs that would be needed to decide.
    """

    verdict: Verdict
    pairs: int
    looks: tuple[int, ...]
    change: float
    low: float
    high: float
    robust: float
    robust_low: float
    robust_high: float
    p_slower: float
    p_small: float
    sd: float
    robust_sd: float
    more_pairs: int | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data that JSON can hold."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def judge(log_ratios: Sequence[float], rule: RatioRule, *, last: bool = False) -> Result:
    """Seeks a verdict after the pairs so far.

    By `judge_ratios`, with p values of Student's t over pairs.

    Args:
        log_ratios: one a pair, in the order of measuring.
        rule: looks and error rates.
        last: whether no more pairs will come (a budget); looks not reached are not taken.

    Returns:
        The result; `undecided` if more pairs are to come.
    """
    looks = tuple(look for look in rule.looks if look <= len(log_ratios))
    (found,) = judge_ratios([[mean_of(log_ratios[:look]) for look in looks]], rule)
    now, spread = mean_of(log_ratios), spread_of(log_ratios)
    verdict: Verdict = found.verdict
    if len(log_ratios) not in looks:
        verdict = "inconclusive"
    if verdict == "inconclusive" and not last and len(log_ratios) < rule.looks[-1]:
        verdict = "undecided"
    interval = now.interval()
    robust, around = hodges_lehmann(log_ratios)
    deviations = np.abs(np.asarray(log_ratios) - np.median(log_ratios))
    return Result(
        verdict=verdict,
        pairs=len(log_ratios),
        looks=looks,
        change=math.expm1(now.value),
        low=math.expm1(interval.low),
        high=math.expm1(interval.high),
        robust=math.expm1(robust),
        robust_low=math.expm1(around.low),
        robust_high=math.expm1(around.high),
        p_slower=found.p_slower,
        p_small=found.p_margin,
        sd=spread.sd if spread.df else math.nan,
        robust_sd=NORMAL_MAD * float(np.median(deviations)),
        more_pairs=_more_pairs(now.value, spread.sd, len(log_ratios), rule),
    )


def _more_pairs(change: float, sd: float, pairs: int, rule: RatioRule) -> int | None:
    needed = ratio_values_needed(change, sd, rule) if pairs > 1 else None
    return None if needed is None else max(1, needed - pairs)


def in_words(result: Result, rule: RatioRule) -> str:
    """Returns the result in one paragraph."""
    looks = ", ".join(map(str, result.looks)) or "none"
    text = (
        f"{_headline(result, rule)} B's time per picture is {result.change:+.1%} relative to "
        f"A's (95 % interval {_range(result.low, result.high)}; Hodges-Lehmann "
        f"{result.robust:+.1%}, {_range(result.robust_low, result.robust_high)}). "
        f"{result.pairs} pairs of fresh processes, spread {result.sd:.1%} of one pair "
        f"({result.robust_sd:.1%} by the median absolute deviation), looks after {looks}. "
        f"p = {result.p_slower:.2g} that it is not slower (fails at {rule.alpha:g}), "
        f"p = {result.p_small:.2g} that it is slower by {rule.margin:.1%} or more (passes at "
        f"{rule.beta:g}); both hold over all looks together."
    )
    if result.verdict != "inconclusive":
        return text
    if result.more_pairs is None:
        return f"{text} Not even 1000 pairs would decide."
    return f"{text} About {result.more_pairs} more pairs would be needed to decide."


def _headline(result: Result, rule: RatioRule) -> str:
    return {
        "pass": f"PASS: B is not slower by {rule.margin:.1%} or more.",
        "fail": f"FAIL: B is slower, by an estimated {rule.margin:.1%} or more.",
        "inconclusive": "INCONCLUSIVE: the pairs neither show a slowdown nor rule one out.",
        "undecided": "Not decided yet.",
    }[result.verdict]


def _range(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high) or low <= -1:
        return "unknown from so few pairs"
    return f"{low:+.1%} to {high:+.1%}"
