"""What was judged: CheckResult."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# An error is a check that could not be judged: its training failed, say.
Verdict = Literal["pass", "fail", "inconclusive", "error"]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One property, its verdict and the numbers behind it; the pictures' have no variant or place.

    A gate, which is a check with a stated error rate, has an interval of what it observed
    (95 %), the p value of "all is well" after adjustment for the looks taken at it and for all
    gates of the session, and `alpha`, which that p value is compared with. `values` counts what the
    verdict rests on: seeds, or pairs of processes.
    """

    check: str
    variant: str = ""
    seed: int | None = None
    backend: str = ""
    device: str = ""
    dtype: str = ""
    batch_size: int | None = None
    verdict: Verdict
    observed: float
    threshold: float
    detail: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    values: int | None = None


SPEED_CHECKS = ("same_answers", "timer_waits", "placement", "flops")
