"""What a comparison leaves behind: `pairs.csv`, a row a round, and `ab.json`."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from cnnbench.ab.pairs import Pair
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

    def append(self, pair: Pair) -> None:
        self._rows.writerows(rows_of(pair))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def rows_of(pair: Pair) -> list[tuple[object, ...]]:
    """Returns a row per round and side; `order` counts from 0 within a round."""
    rows: list[tuple[object, ...]] = []
    for number, each in enumerate(pair.rounds):
        for side, party, batch_size, taken in (
            ("BASE", "a", pair.batch_a, each.a),
            ("HEAD", "b", pair.batch_b, each.b),
        ):
            order = int(each.first != party)
            rows.append((pair.number, number, side, order, pair.steps, batch_size, *taken))
    return rows


def write_result(folder: Path, content: dict[str, Any]) -> None:
    """Writes `ab.json`, whole or not at all."""
    new = folder / f"{RESULT_NAME}.new"
    new.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(folder / RESULT_NAME)
