"""What a report says about speed, as plain rows: the words that comparisons are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from cnnbench.stats.intervals import spread_of
from cnnbench.verdicts.checks.speed import TOLERANCES

KEY = ("variant", "workload", "backend", "device", "dtype", "batch_size")
LIFTABLE = ("variant", "backend", "device", "dtype", "batch_size")
OUT_OF_MEMORY = "out of memory"
WRONG_ANSWERS = "wrong answers"


@dataclass(frozen=True)
class Process:
    """What one fresh process measured of one row.

    Args:
        number: counts the processes of a row.
        log_seconds: logarithm of the median seconds per picture.
        rounds: how many rounds that median is of.
        round_sd: standard deviation of the rounds' logarithms; NaN where it is not known.
    """

    number: int
    log_seconds: float
    rounds: int
    round_sd: float


@dataclass(frozen=True)
class Speed:
    """A row of a report: what was measured, and each process that measured it.

    `conditions` may differ between rows that are compared, and are listed where they do. `problems`
    are `OUT_OF_MEMORY` and `WRONG_ANSWERS`.
    """

    variant: str
    workload: str
    backend: str
    device: str
    dtype: str
    batch_size: int
    fingerprint: str
    processes: tuple[Process, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def per_second(self) -> float:
        """Pictures per second: the geometric mean of the processes' medians."""
        if not self.processes:
            return math.nan
        return math.exp(-sum(each.log_seconds for each in self.processes) / len(self.processes))

    def words(self) -> str:
        """Returns the key in words."""
        row = f"{self.variant} {self.workload} {self.backend} {self.device} {self.dtype}"
        return f"{row} batch {self.batch_size}"


@dataclass(frozen=True)
class Source:
    """The speeds of one report; `conditions` are those of the whole: machine and versions."""

    label: str
    speeds: tuple[Speed, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)


def process_of(number: int, seconds: Sequence[float]) -> Process:
    """Returns a process by its rounds' seconds a picture."""
    spread = spread_of([math.log(each) for each in seconds])
    sd = spread.sd if spread.df else math.nan
    return Process(number, math.log(median(seconds)), len(seconds), sd)


def is_wrong(equal_share: float | None, dtype: str) -> bool:
    """Returns whether so few answers are equal that a speed says nothing; unknown is not wrong."""
    if equal_share is None or math.isnan(equal_share):
        return False
    # A dtype that this version does not know can't be called wrong.
    return dtype in TOLERANCES and equal_share < TOLERANCES[dtype].equal_share
