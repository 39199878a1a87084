"""What a comparison leaves behind: `pairs.csv`, a row per round and side, and `ab.json`."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from cnnbench.ab.pairs import Pair

PAIRS_NAME = "pairs.csv"
RESULT_NAME = "ab.json"
COLUMNS = ("pair", "round", "side", "order", "steps", "batch_size", "seconds", "cpu_seconds")


def append_pair(folder: Path, pair: Pair) -> None:
    """Adds a row per round and side; they are on disk when it returns."""
    with (folder / PAIRS_NAME).open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not file.tell():
            rows.writerow(COLUMNS)
        for number, each in enumerate(pair.rounds):
            for side, batch_size, taken in (
                ("A", pair.batch_a, each.a),
                ("B", pair.batch_b, each.b),
            ):
                key = (pair.number, number, side, int(each.first != side))
                rows.writerow((*key, pair.steps, batch_size, taken.wall, taken.cpu))
        file.flush()
        os.fsync(file.fileno())


def write_result(folder: Path, content: dict[str, Any]) -> None:
    """Writes `ab.json`, whole or not at all."""
    new = folder / f"{RESULT_NAME}.new"
    new.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(folder / RESULT_NAME)


def read_result(folder: Path) -> str | None:
    """Returns the sides and the result in words; `None` if the folder is no report of `ab`."""
    path = folder / RESULT_NAME
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    sides = [f"{side['name']}: {side['text']}" for side in content["sides"]]
    return "\n".join([*sides, content["text"] or f"Stopped before a verdict; see {PAIRS_NAME}."])
