"""What pytest-benchmark stores (`--benchmark-json`, `--benchmark-save`), as rows of speed.

A benchmark of cnnbench's throughput tells its key in `extra_info` and has times a picture; of any
other one the row is named by its test, and its speed is operations a second.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnbench.speed_rows import (
    KEY,
    OUT_OF_MEMORY,
    WRONG_ANSWERS,
    Process,
    Source,
    Speed,
    is_wrong,
    process_of,
)

CONDITIONS = ("threads", "data_hash", "tf32", "weight_dtype", "compute_dtype")


def read_pytest_benchmark(path: Path) -> Source:
    """Reads a file that pytest-benchmark wrote.

    The machine's name (`node`) that stands in it is left out.

    Args:
        path: the JSON file.

    Raises:
        ValueError: if it is none, or holds no benchmark with a time.
        OSError: if it can't be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found: dict[tuple[str, ...], list[Speed]] = {}
        for one in content["benchmarks"]:
            row = _speed(one)
            if row is not None:
                key = tuple(str(getattr(row, name)) for name in (*KEY, "fingerprint", "unit"))
                found.setdefault(key, []).append(row)
        conditions = _conditions(content)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"Expected a file that pytest-benchmark wrote (--benchmark-json): "
            f"{type(error).__name__} {error}. Received: file={str(path)!r}"
        ) from error
    if not found:
        raise ValueError(f"No benchmark with a time is in it. Received: file={str(path)!r}")
    return Source(path.stem, tuple(map(_together, found.values())), conditions)


def _speed(one: Mapping[str, Any]) -> Speed | None:
    info, stats = one.get("extra_info") or {}, one.get("stats") or {}
    has_speed = "images_per_second" in info or info.get("out_of_memory") == "yes"
    if not (has_speed and set(KEY) <= set(info)):
        # Trainings and checks of a suite have a clock that was put forward: no speed.
        if "variant" in info or not stats.get("rounds"):
            return None
        return Speed(
            *(str(one["fullname"]), "benchmark", "", "", "", None),
            unit="operations/s",
            fingerprint="",
            processes=(_process(0, stats),),
        )
    problems = []
    if info.get("out_of_memory") == "yes":
        problems.append(OUT_OF_MEMORY)
    if is_wrong(info.get("equal_share"), info["dtype"]):
        problems.append(WRONG_ANSWERS)
    return Speed(
        variant=info["variant"],
        workload=info["workload"],
        backend=info["backend"],
        device=info["device"],
        dtype=info["dtype"],
        batch_size=int(info["batch_size"]),
        unit="images/s",
        fingerprint=str(info.get("fingerprint") or ""),
        processes=() if problems[:1] == [OUT_OF_MEMORY] else (_timed(info, stats),),
        conditions={name: str(info[name]) for name in CONDITIONS if name in info},
        problems=tuple(problems),
    )


def _timed(info: Mapping[str, Any], stats: Mapping[str, Any]) -> Process:
    """Returns the process of a throughput: the rounds on its clock are seconds a picture."""
    number = int(info.get("process") or 0)
    found = _process(number, stats)
    # cnnbench's own figure is the exact one; the clock's sum of rounds has lost digits.
    return Process(number, -math.log(info["images_per_second"]), found.rounds, found.round_sd)


def _process(number: int, stats: Mapping[str, Any]) -> Process:
    if stats.get("data"):
        return process_of(number, stats["data"])
    middle = stats.get("median") or stats["mean"]
    rounds = int(stats["rounds"])
    spread = stats["stddev"] / stats["mean"] if rounds > 1 else math.nan
    return Process(number, math.log(middle), rounds, spread)


def _together(rows: list[Speed]) -> Speed:
    """Returns one row for all processes of a key."""
    first = rows[0]
    processes = {each.number: each for row in rows for each in row.processes}
    problems = tuple(dict.fromkeys(problem for row in rows for problem in row.problems))
    names = dict.fromkeys(name for row in rows for name in row.conditions)
    conditions = {
        name: ", ".join(sorted({row.conditions.get(name, "") for row in rows})) for name in names
    }
    ordered = tuple(processes[number] for number in sorted(processes))
    return replace(first, processes=ordered, conditions=conditions, problems=problems)


def _conditions(content: Mapping[str, Any]) -> dict[str, str]:
    machine = content.get("machine_info") or {}
    cpu = machine.get("cpu") or {}
    found = {
        "machine system": machine.get("system"),
        "machine release": machine.get("release"),
        "machine architecture": machine.get("machine"),
        "machine cpu": cpu.get("brand_raw"),
        "machine logical_cpus": cpu.get("count"),
        "python": machine.get("python_version"),
    }
    return {name: str(value) for name, value in found.items() if value is not None}
