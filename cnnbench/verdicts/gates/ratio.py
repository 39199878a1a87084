"""The verdict over ratios of times: is one side slower, by a margin that matters? Pure.

Two errors have stated rates, over all looks together: `alpha`, that any ratio fails although
nothing is slower, and `beta`, that a ratio which is slower by the margin passes. Noise can
therefore neither fail nor pass; it is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnnbench.stats.families import holm
from cnnbench.stats.intervals import LEVEL, Estimate
from cnnbench.stats.power import values_needed, values_to_decide
from cnnbench.stats.sequential import sequential_p_value, shares_of

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class RatioRule:
    """What is decided, and how surely.

    Args:
        margin: share of time from which on a slowdown matters.
        alpha: chance that any ratio fails although nothing is slower.
        beta: chance that a ratio slower by `margin` passes.
        looks: after how many values a verdict is sought; empty for one look.
        narrow: whether a pass also needs an interval whose half width is at most the margin.
    """

    margin: float
    alpha: float = 0.01
    beta: float = 0.05
    looks: tuple[int, ...] = ()
    narrow: bool = False

    @property
    def log_margin(self) -> float:
        return math.log1p(self.margin)


@dataclass(frozen=True)
class RatioVerdict:
    """A verdict, the p value of "not slower" and that of "slower by the margin or more"."""

    verdict: Decision
    p_slower: float
    p_margin: float


def judge_ratios(seen: Sequence[Sequence[Estimate]], rule: RatioRule) -> list[RatioVerdict]:
    """Judges a family of ratios.

    Fail: "not slower" is refuted at `alpha` by all ratios together (Holm), and the estimate is at
    least the margin. Pass: "slower by the margin" is refuted at `beta`.

    Args:
        seen: for each ratio its estimated logarithm at every look so far; above 0 is slower.
        rule: margin, error rates and looks.

    Returns:
        A verdict for each ratio.
    """
    shares = shares_of(rule.looks or (1,))
    margin = rule.log_margin
    slower = [sequential_p_value([one.p_above(0.0) for one in each], shares) for each in seen]
    by_margin = [sequential_p_value([one.p_below(margin) for one in each], shares) for each in seen]
    return [
        RatioVerdict(_verdict(each, p_slower, p_margin, rule), p_slower, p_margin)
        for each, p_slower, p_margin in zip(seen, holm(slower), by_margin, strict=True)
    ]


def _verdict(
    seen: Sequence[Estimate], p_slower: float, p_margin: float, rule: RatioRule
) -> Decision:
    if not seen:
        return "inconclusive"
    wide = rule.narrow and seen[-1].interval().half_width > rule.log_margin
    if p_margin <= rule.beta and not wide:
        return "pass"
    if p_slower <= rule.alpha and seen[-1].value >= rule.log_margin:
        return "fail"
    return "inconclusive"


def ratio_values_needed(value: float, sd: float, rule: RatioRule, ratios: int = 1) -> int | None:
    """Returns how many values would decide, if the estimate is right.

    Args:
        value: logarithm of the ratio.
        sd: standard deviation of one value.
        rule: margin and error rates.
        ratios: how many are judged together.

    Returns:
        The least number, or `None` if even 1000 would not do.
    """
    to_pass = rule.log_margin - value
    needed = values_to_decide(to_pass, value, sd, alpha=rule.alpha / ratios, beta=rule.beta)
    if not rule.narrow or to_pass <= 0 or needed is None:
        return needed
    narrow = values_needed(rule.log_margin, sd, (1 - LEVEL) / 2)
    return None if narrow is None else max(needed, narrow)
