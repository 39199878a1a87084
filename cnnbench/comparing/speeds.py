"""What a report says about speed: its rows, and the processes that measured each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean, median
from typing import Any

import pandas as pd

from cnnbench.report.frames import Report
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
class Speed:
    """A row of a report: what was measured, and each process that measured it.

    `processes` have the seconds per picture of each round, by the number of the process.
    `conditions` are listed where they differ between compared rows. `problems` are `OUT_OF_MEMORY`
    and `WRONG_ANSWERS`; `concerns` are what the machine did meanwhile.
    """

    variant: str
    workload: str
    backend: str
    device: str
    dtype: str
    batch_size: int
    fingerprint: str
    processes: Mapping[int, Sequence[float]]
    conditions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    concerns: str = ""

    @cached_property
    def log_seconds(self) -> dict[int, float]:
        """The logarithm of the median round of each process."""
        return {number: math.log(median(rounds)) for number, rounds in self.processes.items()}

    @property
    def per_second(self) -> float:
        """Pictures per second: the geometric mean of the processes' medians."""
        return math.exp(-fmean(self.log_seconds.values())) if self.processes else math.nan

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
    timed: dict[tuple[Any, ...], dict[int, list[float]]] = {}
    rounds = report.rounds
    seconds = rounds["seconds"] / rounds["steps"] / rounds["batch_size"].astype("float64")
    for key, own in seconds.groupby([rounds[name] for name in (*SPEED_COLUMNS, "process")]):
        timed.setdefault(key[:-1], {})[key[-1]] = own.tolist()
    groups = report.throughput.groupby(list(SPEED_COLUMNS), sort=False)
    rows = tuple(
        _speed(key, own, timed.get(key, {}))
        for key, own in groups
        if not variants or key[0] in variants
    )
    return ReportSpeeds(label, rows, _conditions(report.environment))


def _speed(
    key: tuple[Any, ...], rows: pd.DataFrame, processes: Mapping[int, Sequence[float]]
) -> Speed:
    found = dict(zip(SPEED_COLUMNS, key, strict=True))
    # A dtype that this version does not know can't be called wrong, nor can an unknown share.
    tolerance = TOLERANCES.get(found["dtype"])
    problems = {
        OUT_OF_MEMORY: (rows["out_of_memory"] == "yes").any(),
        WRONG_ANSWERS: tolerance and rows["equal_share"].min() < tolerance.equal_share,
    }
    return Speed(
        **found,
        fingerprint=_words(rows["fingerprint"]),
        processes=processes,
        conditions={name: _words(rows[name]) for name in _ROW_CONDITIONS},
        problems=tuple(name for name, is_there in problems.items() if is_there),
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


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """Returns a line for each condition that two sides do not share."""
    return tuple(
        f"{name}: {one.get(name) or '?'} and {other.get(name) or '?'}"
        for name in dict.fromkeys((*one, *other))
        if (one.get(name) or "") != (other.get(name) or "")
    )
