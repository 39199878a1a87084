"""Rows of speed and reports that hold them, for tests to change where it matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from cnnbench.comparing.speeds import Process, Source, Speed
from cnnbench.report.frames import Report, report_of

KEY = {
    "variant": "documented",
    "seed": 0,
    "backend": "tensorflow",
    "device": "cpu",
    "dtype": "float32",
    "batch_size": 32,
    "workload": "inference",
}


def speed(*seconds: float, **changes: Any) -> Speed:
    """Returns a row whose processes took these seconds a picture, in ten rounds each."""
    processes = tuple(
        Process(number, math.log(each), 10, 0.02) for number, each in enumerate(seconds)
    )
    row = Speed(
        variant="documented",
        workload="inference",
        backend="tensorflow",
        device="cpu",
        dtype="float32",
        batch_size=32,
        fingerprint="f00d",
        processes=processes,
        conditions={"threads": "2"},
    )
    return replace(row, **changes)


def source(label: str, *speeds: Speed, **conditions: str) -> Source:
    return Source(label, speeds, conditions)


def speed_report(*rows: dict[str, Any], environment: dict[str, Any] | None = None) -> Report:
    """Returns a report with these measurements; `steps` are a round's seconds a step."""
    throughput, rounds = [], []
    for row in rows:
        row = {**KEY, "process": 0, "threads": 2, "fingerprint": "f00d", **row}
        steps: Sequence[float] = row.pop("steps")
        middle = sorted(steps)[len(steps) // 2] if steps else math.nan
        throughput.append(
            {
                **row,
                "images_per_second": row["batch_size"] / middle,
                "step_time_ms": middle * 1e3,
                "step_time_iqr_ms": 0.0135 * middle * 1e3,
                "rounds": len(steps),
            }
        )
        key = {name: row[name] for name in (*KEY, "process")}
        rounds += [
            {**key, "round": number, "steps": 4, "seconds": 4 * each}
            for number, each in enumerate(steps, start=1)
        ]
    empty = replace(report_of([]), environment=environment or {})
    columns = [*KEY, "process", "round", "steps", "seconds"]
    return replace(
        empty, throughput=pd.DataFrame(throughput), rounds=pd.DataFrame(rounds, columns=columns)
    )
