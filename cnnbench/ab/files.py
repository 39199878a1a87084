"""What a comparison leaves behind: `pairs.csv`, a row a round, and `ab.json`."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from cnnbench.ab.pairs import Alone, Pair
from cnnbench.report.folder import new_report_folder

PAIRS_NAME = "pairs.csv"
RESULT_NAME = "ab.json"
COLUMNS = ("pair", "round", "side", "order", "steps", "batch_size", "seconds", "cpu_seconds")


def new_folder(parent: Path, commit: str | None) -> Path:
    """Makes `parent/ab-<UTC>_<commit>` and returns it.

    Raises:
        OSError: if it can't be made; says what to do.
    """
    return new_report_folder(parent, commit, prefix="ab-", option="--report-dir")


class PairsFile:
    """Appends pairs to `pairs.csv`; each is on disk before the next one starts."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / PAIRS_NAME).open("x", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._file.flush()

    def append(self, pair: Pair | Alone) -> None:
        self._rows.writerows(rows_of(pair))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


Row = tuple[int, int, str, int, int, int | None, float, float | None]


def rows_of(measured: Pair | Alone) -> list[Row]:
    """Returns a row a round and party; `order` counts from 0 within a round."""
    rows: list[Row] = []
    head = measured.head() if isinstance(measured, Pair) else measured
    for number, seconds in enumerate(head.seconds):
        at, order, last = (head.number, number), 0, 1
        cpu: float | None = None
        if isinstance(measured, Pair):
            order, last = int(measured.first[number] != "b"), 2
            taken = measured.seconds_a[number], measured.cpu_a[number]
            rows.append((*at, "BASE", 1 - order, measured.steps_a, measured.batch_a, *taken))
            cpu = measured.cpu_b[number]
        rows.append((*at, "HEAD", order, head.steps, head.batch_size, seconds, cpu))
        if head.seconds_reference:
            there = head.seconds_reference[number]
            rows.append((*at, "reference", last, head.steps_reference, None, there, None))
    return rows


def write_result(folder: Path, content: dict[str, Any]) -> None:
    """Writes `ab.json`, whole or not at all."""
    new = folder / f"{RESULT_NAME}.new"
    new.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(folder / RESULT_NAME)
