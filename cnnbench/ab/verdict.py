"""The verdict over log ratios of pairs: numbers in, verdict out. No processes, no files.

Two errors have stated rates, and both hold over all looks together: `alpha`, failing a HEAD that
is not slower, and `beta`, passing one that is slower by `min_effect` or more. Noise can
therefore neither fail nor pass; it ends in "inconclusive".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from cnnbench.stats.intervals import Estimate, mean_of, spread_of
from cnnbench.stats.paired import hodges_lehmann
from cnnbench.stats.power import values_needed
from cnnbench.stats.sequential import sequential_p_value, shares_of

Verdict = Literal["pass", "fail", "inconclusive", "undecided"]

NORMAL_MAD = 1.4826  # median absolute deviation to standard deviation, of a normal distribution


@dataclass(frozen=True)
class Rule:
    """What is decided, and how surely.

    Args:
        looks: after how many pairs the verdict is sought.
        alpha: chance that a HEAD that is not slower fails.
        beta: chance that a HEAD slower by `min_effect` passes.
        min_effect: share of time from which on a slowdown matters.
        level: of the intervals.
    """

    looks: tuple[int, ...]
    alpha: float = 0.01
    beta: float = 0.05
    min_effect: float = 0.03
    level: float = 0.95

    @property
    def log_effect(self) -> float:
        return math.log1p(self.min_effect)


@dataclass(frozen=True)
class Result:
    """A verdict and everything that it rests on. Changes are shares of BASE's time a picture.

    Args:
        verdict: `undecided` asks for more pairs, `inconclusive` has no more.
        pairs: measured so far.
        looks: after how many pairs a verdict was sought.
        change, low, high: mean change of time with its interval; above 0 HEAD is slower.
        robust, robust_low, robust_high: the same by Hodges and Lehmann, which outliers hardly move.
        p_slower: p value of "HEAD is not slower", over all looks.
        p_small: p value of "HEAD is slower by `min_effect` or more", over all looks.
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


def judge(log_ratios: Sequence[float], rule: Rule, *, last: bool = False) -> Result:
    """Seeks a verdict after the pairs so far.

    Pass: "slower by `min_effect` or more" is refuted at `beta` and the interval's half width is
    at most `min_effect`. Fail: "not slower" is refuted at `alpha` and the estimate is at
    least `min_effect`. Both p values are those of Student's t over pairs, adjusted for the looks.

    Args:
        log_ratios: one a pair, in the order of measuring.
        rule: looks and error rates.
        last: whether no more pairs will come (a budget); looks not reached are not taken.

    Returns:
        The result; `undecided` if more pairs are to come.
    """
    looks = tuple(look for look in rule.looks if look <= len(log_ratios))
    shares = shares_of(rule.looks)
    seen = [mean_of(log_ratios[:look]) for look in looks]
    p_slower = _over_looks([each.p_above(0.0) for each in seen], shares)
    p_small = _over_looks([each.p_below(rule.log_effect) for each in seen], shares)
    now = mean_of(log_ratios)
    spread = spread_of(log_ratios)
    verdict: Verdict = "undecided"
    if looks and looks[-1] == len(log_ratios):
        verdict = _verdict(now, p_slower, p_small, rule)
    if verdict == "undecided" and (last or len(log_ratios) >= rule.looks[-1]):
        verdict = "inconclusive"
    interval = now.interval(rule.level)
    robust, around = hodges_lehmann(log_ratios, rule.level)
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
        p_slower=p_slower,
        p_small=p_small,
        sd=spread.sd if spread.df else math.nan,
        robust_sd=NORMAL_MAD * float(np.median(deviations)),
        more_pairs=_more_pairs(now, spread.sd, len(log_ratios), rule),
    )


def _over_looks(p_values: Sequence[float], shares: tuple[float, ...]) -> float:
    return sequential_p_value(p_values, shares) if p_values else 1.0


def _verdict(now: Estimate, p_slower: float, p_small: float, rule: Rule) -> Verdict:
    if p_small <= rule.beta and now.interval(rule.level).half_width <= rule.log_effect:
        return "pass"
    if p_slower <= rule.alpha and now.value >= rule.log_effect:
        return "fail"
    return "undecided"


def _more_pairs(now: Estimate, sd: float, pairs: int, rule: Rule) -> int | None:
    """Returns how many more pairs a pass or a fail would take, whichever is nearer."""
    if pairs < 2:
        return None
    needed = []
    if now.value >= rule.log_effect:
        needed.append(values_needed(now.value, sd, rule.alpha))
    else:
        # As many as refute the slowdown, and as many as make the interval narrow enough.
        small = values_needed(rule.log_effect - now.value, sd, rule.beta)
        narrow = values_needed(rule.log_effect, sd, (1 - rule.level) / 2)
        needed.append(max(small, narrow) if small and narrow else None)
    least = min((n for n in needed if n is not None), default=None)
    return None if least is None else max(1, least - pairs)


def in_words(result: Result, rule: Rule) -> str:
    """Returns the result in one paragraph."""
    looks = ", ".join(map(str, result.looks)) or "none"
    text = (
        f"{_headline(result, rule)} HEAD's time per picture is {result.change:+.1%} relative to "
        f"BASE's ({rule.level:.0%} interval {_range(result.low, result.high)}; Hodges-Lehmann "
        f"{result.robust:+.1%}, {_range(result.robust_low, result.robust_high)}). "
        f"{result.pairs} pairs of fresh processes, spread {result.sd:.1%} of one pair "
        f"({result.robust_sd:.1%} by the median absolute deviation), looks after {looks}. "
        f"p = {result.p_slower:.2g} that it is not slower (fails at {rule.alpha:g}), "
        f"p = {result.p_small:.2g} that it is slower by {rule.min_effect:.1%} or more (passes at "
        f"{rule.beta:g}); both hold over all looks together."
    )
    if result.verdict != "inconclusive":
        return text
    if result.more_pairs is None:
        return f"{text} Not even 1000 pairs would decide."
    return f"{text} About {result.more_pairs} more pairs would be needed to decide."


def _headline(result: Result, rule: Rule) -> str:
    return {
        "pass": f"PASS: HEAD is not slower by {rule.min_effect:.1%} or more.",
        "fail": f"FAIL: HEAD is slower, by an estimated {rule.min_effect:.1%} or more.",
        "inconclusive": "INCONCLUSIVE: the pairs neither show a slowdown nor rule one out.",
        "undecided": "Not decided yet.",
    }[result.verdict]


def _range(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high) or low <= -1:
        return "unknown from so few pairs"
    return f"{low:+.1%} to {high:+.1%}"
