"""What a report says about speed: its rows, and the processes that measured each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pandas as pd

from cnnbench.report.frames import Report
from cnnbench.stats.intervals import spread_of
from cnnbench.verdicts.checks.speed import TOLERANCES

# What identifies a row; `ACROSS` may differ between compared rows if the user says so.
SPEED_COLUMNS = ("variant", "workload", "backend", "device", "dtype", "batch_size")
ACROSS = ("variant", "backend", "device", "dtype", "batch_size")
OUT_OF_MEMORY = "out of memory"
WRONG_ANSWERS = "wrong answers"

# What is listed where it differs between compared rows, and between reports.
_ROW_CONDITIONS = ("threads", "data_hash", "tf32", "weight_dtype", "compute_dtype", "warmup_rounds")
_OPTIONS = ("protocol", "image_size")


@dataclass(frozen=True)
class Process:
    """What one fresh process measured of one row.

    Args:
        number: of the process, from 0.
        log_seconds: logarithm of the median of `rounds` seconds per picture.
        rounds: number of rounds.
        round_sd: standard deviation of the rounds' logarithms; NaN for one round.
    """

    number: int
    log_seconds: float
    rounds: int
    round_sd: float


@dataclass(frozen=True)
class Speed:
    """A row of a report: what was measured, and each process that measured it.

    `conditions` are listed where they differ between compared rows. `problems` are
    `OUT_OF_MEMORY` and `WRONG_ANSWERS`; `concerns` are what the machine did meanwhile.
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
    concerns: str = ""

    @property
    def per_second(self) -> float:
        """Pictures per second: the geometric mean of the processes' medians."""
        if not self.processes:
            return math.nan
        return math.exp(-sum(each.log_seconds for each in self.processes) / len(self.processes))

    def __str__(self) -> str:
        row = f"{self.variant} {self.workload} {self.backend} {self.device} {self.dtype}"
        return f"{row} batch {self.batch_size}"


@dataclass(frozen=True)
class ReportSpeeds:
    """The rows of one report, and the conditions of all of them: machine and versions."""

    label: str
    rows: tuple[Speed, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)


def speeds_of(report: Report, label: str, variants: Sequence[str] = ()) -> ReportSpeeds:
    """Returns the speeds of a report, of these variants or all, in the order of its table.

    Several seeds in one process are one process: their rounds are taken together.
    """
    timed: dict[tuple[Any, ...], list[Process]] = {}
    rounds = report.rounds
    seconds = rounds["seconds"] / rounds["steps"] / rounds["batch_size"].astype("float64")
    for key, own in seconds.groupby([rounds[name] for name in (*SPEED_COLUMNS, "process")]):
        timed.setdefault(key[:-1], []).append(process_of(int(key[-1]), own.tolist()))
    groups = report.throughput.groupby(list(SPEED_COLUMNS), sort=False)
    rows = tuple(
        _speed(own, tuple(timed.get(key, ())))
        for key, own in groups
        if not variants or key[0] in variants
    )
    return ReportSpeeds(label, rows, _conditions(report.environment))


def process_of(number: int, seconds: Sequence[float]) -> Process:
    """Returns a process by its rounds' seconds per picture."""
    spread = spread_of([math.log(each) for each in seconds])
    return Process(
        number=number,
        log_seconds=math.log(median(seconds)),
        rounds=len(seconds),
        round_sd=spread.sd if spread.df else math.nan,
    )


def are_wrong(equal_share: float, dtype: str) -> bool:
    """Returns whether so few answers are equal that a speed says nothing; NaN is not wrong."""
    # A dtype that this version does not know can't be called wrong.
    return dtype in TOLERANCES and equal_share < TOLERANCES[dtype].equal_share


def _speed(rows: pd.DataFrame, processes: tuple[Process, ...]) -> Speed:
    first = rows.iloc[0]
    problems = []
    if (rows["out_of_memory"] == "yes").any():
        problems.append(OUT_OF_MEMORY)
    if are_wrong(rows["equal_share"].min(), first["dtype"]):
        problems.append(WRONG_ANSWERS)
    return Speed(
        variant=first["variant"],
        workload=first["workload"],
        backend=first["backend"],
        device=first["device"],
        dtype=first["dtype"],
        batch_size=int(first["batch_size"]),
        fingerprint=_words(rows["fingerprint"]),
        processes=processes,
        conditions={name: _words(rows[name]) for name in _ROW_CONDITIONS},
        problems=tuple(problems),
        concerns=_words(rows["concerns"]),
    )


def _words(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values if not pd.isna(value)}))


def _conditions(environment: Mapping[str, Any]) -> dict[str, str]:
    """Returns what the whole report was measured on, by name."""
    options, data = environment.get("options") or {}, environment.get("data") or {}
    found = {"python": environment.get("python")}
    for kind in ("machine", "packages", "flags"):
        found |= {f"{kind} {name}": value for name, value in environment.get(kind, {}).items()}
    found |= {f"option {name}": options.get(name) for name in _OPTIONS}
    found["gpus"] = ", ".join(map(str, environment.get("gpus") or ()))
    found["data"] = f"{data.get('name', '')} {data.get('content_hash', '')[:12]}".strip()
    return {name: "" if value is None else str(value) for name, value in found.items()}
