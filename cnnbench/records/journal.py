"""The append-only file of finished records, which survives `kill -9`.

Records are lines of JSON, which keep every float exactly, NaN and infinities included.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from cnnbench.records.records import Record

JOURNAL_NAME = "journal.jsonl"
SCHEMA_VERSION = 5

_TYPES: dict[str, Any] = {cls.__name__: cls for cls in get_args(Record)}
_hints = cache(get_type_hints)


def from_data(kind: Any, data: Any) -> Any:
    """Rebuilds a value of a type (dataclass, tuple, path, or `None`) from what JSON keeps of it."""
    parts = get_args(kind)
    if hasattr(kind, "__dataclass_fields__"):
        names, hints = {field.name for field in fields(kind)}, _hints(kind)
        if set(data) != names:
            odd = ", ".join(sorted(set(data) ^ names))
            raise ValueError(
                f"Missing or unknown fields: {odd}. Received: record={kind.__name__!r}"
            )
        return kind(**{name: from_data(hints[name], value) for name, value in data.items()})
    if NoneType in parts:
        return None if data is None else from_data(parts[0], data)
    if get_origin(kind) is tuple:
        return tuple(from_data(parts[0], item) for item in data)
    if get_origin(kind) is dict:
        return {key: from_data(parts[1], item) for key, item in data.items()}
    return Path(data) if kind is Path else data


def encode(record: Record) -> str:
    return json.dumps({"record": type(record).__name__, "schema": SCHEMA_VERSION, **asdict(record)})


def decode(line: str) -> Record:
    """Returns the record that `encode` wrote; a `ValueError` says why it is none."""
    try:
        data = json.loads(line)
        name, schema = data.pop("record"), data.pop("schema")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"Not a record. Received: line={line[:80]!r}") from error
    cls = _TYPES.get(name) if isinstance(name, str) else None
    if cls is None or schema != SCHEMA_VERSION:
        raise ValueError(
            f"Expected a record of schema {SCHEMA_VERSION} ({', '.join(_TYPES)}); read it with the "
            f"version of cnnbench that wrote it. Received: record={name!r}, schema={schema!r}"
        )
    record: Record = from_data(cls, data)
    return record


class Journal:
    """Appends records to a file, one line each, on disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self._file = path.open("ab", buffering=0)

    def append(self, record: Record) -> None:
        # One write call: a killed process leaves at most one torn last line.
        line = encode(record).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(f"The disk is full: {self.path} is not whole.")
        os.fsync(self._file.fileno())
        self.records.append(record)

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> list[Record]:
    """Returns the records of a journal; a torn last line (a killed writer) is left out."""
    lines = path.read_bytes().split(b"\n")
    records: list[Record] = []
    # A whole file ends with a newline, so what follows the last one is torn or empty.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(decode(line.decode()))
        except ValueError as error:
            raise ValueError(f"Damaged journal {path}, line {number}: {error}") from error
    return records
