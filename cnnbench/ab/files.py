"""What a comparison leaves behind: `pairs.csv`, a row a round, and `ab.json`."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cnnbench.ab.pairs import Alone, Pair

PAIRS_NAME = "pairs.csv"
RESULT_NAME = "ab.json"
COLUMNS = ("pair", "round", "side", "order", "steps", "batch_size", "seconds", "cpu_seconds")


def new_folder(parent: Path, commit: str | None) -> Path:
    """Makes `parent/ab-<UTC>_<commit>` and returns it.

    Raises:
        OSError: if it can't be made; says what to do.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    base = f"ab-{stamp}_{commit or 'nocommit'}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            folder = parent / (base if number == 1 else f"{base}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise OSError(
            f"Can't write reports there: {error.strerror}. Name a folder that can be written with "
            f"--report-dir. Received: report_dir={str(parent)!r}"
        ) from error
    raise OSError(f"No free name for a report. Received: report_dir={str(parent)!r}")


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
