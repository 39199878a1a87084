"""Records as lines of JSON, which keep every float exactly, NaN and infinities included."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from cnnbench.records.checks import CheckResult
from cnnbench.records.measurements import Measurement, Peak
from cnnbench.records.runs import DataSet, Environment, SanityRun, TrainingRun

SCHEMA_VERSION = 5

Record = Environment | DataSet | TrainingRun | SanityRun | Measurement | Peak | CheckResult

_TYPES: dict[str, Any] = {cls.__name__: cls for cls in get_args(Record)}
_hints = cache(get_type_hints)


def from_data(kind: Any, data: Any) -> Any:
    """Rebuilds a value of a type (dataclass, tuple, path, or `None`) from what JSON keeps of it.

    Raises:
        ValueError: if fields of a dataclass are missing or unknown.
    """
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
    """Returns the record as one line of JSON, with its type and schema version."""
    return json.dumps({"record": type(record).__name__, "schema": SCHEMA_VERSION, **asdict(record)})


def decode(line: str) -> Record:
    """Returns the record that `encode` wrote.

    Raises:
        ValueError: if the line is no record of this schema version.
    """
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
