"""The verdict over ratios of times: is one side slower, by a margin that matters?

Both errors have stated rates over all looks together, so that noise can neither fail nor pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cnnbench.stats.intervals import LEVEL, Estimate
from cnnbench.stats.power import values_needed
from cnnbench.stats.sequential import holm, sequential_p_value

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class RatioRule:
    """What is decided, and how surely.

    A slowdown matters from the share `margin` of time on. `alpha` is the chance that any ratio
    fails although nothing is slower, `beta` that a ratio slower by the margin passes. `looks` are
    the numbers of values after which a verdict is sought, empty for one look; with `narrow` a pass
    also needs an interval whose half width is at most the margin.
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
    """Judges a family of ratios, each by its estimated logarithm at every look; above 0 is slower.

    Fail: "not slower" is refuted at `alpha` by all ratios together (Holm), and the estimate is at
    least the margin. Pass: "slower by the margin" is refuted at `beta`.
    """
    looks, margin, found = rule.looks or (1,), rule.log_margin, []
    slower = [sequential_p_value([one.p_above(0.0) for one in each], looks) for each in seen]
    for each, p_slower in zip(seen, holm(slower), strict=True):
        p_margin = sequential_p_value([one.p_below(margin) for one in each], looks)
        wide = rule.narrow and bool(each) and each[-1].interval().half_width > margin
        verdict: Decision = "inconclusive"
        if p_margin <= rule.beta and not wide:
            verdict = "pass"
        elif p_slower <= rule.alpha and each[-1].value >= margin:
            verdict = "fail"
        found.append(RatioVerdict(verdict, p_slower, p_margin))
    return found


def ratio_values_needed(value: float, sd: float, rule: RatioRule, ratios: int = 1) -> int | None:
    """Returns how many values would decide, if the estimate is right; `None` if 1000 would not.

    `value` is the logarithm of the ratio, `sd` of one value, `ratios` how many are judged together.
    """
    to_pass = rule.log_margin - value
    if to_pass <= 0:
        return values_needed(value, sd, rule.alpha / ratios)
    needed = values_needed(to_pass, sd, rule.beta)
    if not rule.narrow or needed is None:
        return needed
    narrow = values_needed(rule.log_margin, sd, (1 - LEVEL) / 2)
    return None if narrow is None else max(needed, narrow)
