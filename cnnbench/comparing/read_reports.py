"""The throughput of a report, as the plain rows that comparisons take."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cnnbench.comparing.speeds import (
    KEY,
    OUT_OF_MEMORY,
    WRONG_ANSWERS,
    Source,
    Speed,
    is_wrong,
    process_of,
)
from cnnbench.report.frames import Report, load_report

# Conditions of a row that may differ between rows that are compared.
ROW_CONDITIONS = (
    *("threads", "data_hash", "tf32", "weight_dtype", "compute_dtype"),
    *("warmup_rounds", "throttled"),
)
OPTION_CONDITIONS = ("protocol", "image_size")


def read_speeds(path: Path) -> Source:
    """Returns the speeds of a report folder or a packed report."""
    return speeds_of_report(load_report(path), path.resolve().name.removesuffix(".zip"))


def speeds_of_report(report: Report, label: str) -> Source:
    """Returns the speeds of a report, in the order of its table.

    Rows of one key are its processes. Several seeds in one process are one process: its rounds are
    taken together.

    Args:
        report: with throughput.
        label: names it in what people read.
    """
    table = report.throughput
    groups = table.groupby([*KEY, "fingerprint"], sort=False, dropna=False)
    rounds = _rounds(report.rounds)
    speeds = tuple(_speed(rows, rounds) for _, rows in groups)
    return Source(label, speeds, _conditions(report.environment))


def _rounds(table: pd.DataFrame) -> dict[tuple[str, ...], list[float]]:
    """Returns seconds a picture of each round, by key, seed and process."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in table.to_dict("records"):
        seconds = row["seconds"] / row["steps"] / row["batch_size"]
        found.setdefault(_place(row), []).append(seconds)
    return found


def _place(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in (*KEY, "seed", "process"))


def _speed(rows: pd.DataFrame, rounds: dict[tuple[str, ...], list[float]]) -> Speed:
    first, every = rows.iloc[0].to_dict(), rows.to_dict("records")
    timed: dict[int, list[dict[str, Any]]] = {}
    for row in every:
        if not math.isnan(row["step_time_ms"]):
            timed.setdefault(int(row["process"]), []).append(row)
    problems = []
    if any(row.get("out_of_memory") == "yes" for row in every):
        problems.append(OUT_OF_MEMORY)
    if any(is_wrong(row.get("equal_share"), first["dtype"]) for row in every):
        problems.append(WRONG_ANSWERS)
    return Speed(
        variant=first["variant"],
        workload=first["workload"],
        backend=first["backend"],
        device=first["device"],
        dtype=first["dtype"],
        batch_size=int(first["batch_size"]),
        fingerprint=first["fingerprint"],
        processes=tuple(
            process_of(number, [each for row in own for each in rounds[_place(row)]])
            for number, own in sorted(timed.items())
        ),
        conditions={
            name: _together(row.get(name) for row in every)
            for name in ROW_CONDITIONS
            if name in first
        },
        problems=tuple(problems),
    )


def _together(values: Iterable[Any]) -> str:
    return ", ".join(sorted({"" if pd.isna(value) else str(value) for value in values}))


def _conditions(environment: dict[str, Any]) -> dict[str, str]:
    """Returns what the whole report was measured on, flat."""
    options = environment.get("options") or {}
    data = environment.get("data") or {}
    found = {
        **{f"machine {k}": v for k, v in (environment.get("machine") or {}).items()},
        "gpus": environment.get("gpus"),
        "python": environment.get("python"),
        **{f"package {k}": v for k, v in (environment.get("packages") or {}).items()},
        **{f"flag {k}": v for k, v in (environment.get("flags") or {}).items()},
        **{f"option {name}": options.get(name) for name in OPTION_CONDITIONS},
        "data": " ".join(str(data.get(k) or "")[:12] for k in ("name", "content_hash")).strip(),
    }
    return {name: _words(value) for name, value in found.items()}


def _words(value: Any) -> str:
    if value is None or value == []:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
