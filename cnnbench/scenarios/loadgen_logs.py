"""What LoadGen writes: its detailed log and its trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LINE = ":::MLLOG "
NANO = 1e9


def read_log(path: Path) -> dict[str, Any]:
    """Returns the keys and values of LoadGen's detailed log, a JSON object a line.

    Raises:
        ValueError: if there is no result in it.
    """
    found: dict[str, Any] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(LINE):
            entry = json.loads(line.removeprefix(LINE))
            found[entry["key"]] = entry["value"]
    if "result_validity" not in found:
        raise ValueError(f"Expected a result in LoadGen's log. Received: keys={sorted(found)}")
    return found


def read_trace(path: Path) -> tuple[float, ...]:
    """Returns the seconds of each query in the order of arrival, as LoadGen took them.

    The trace has an event a line. It is read by lines, since one that ended early has no end.
    """
    found: dict[int, float] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith('{"name":"Sample"') and '"complete_ns"' in line:
            details = json.loads(line.rstrip(","))["args"]
            found[details["sample_seq"]] = details["complete_ns"] / NANO
    return tuple(found[number] for number in sorted(found))
