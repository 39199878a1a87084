"""TODO docstring."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from cnnbench.records.checks import CheckResult
from cnnbench.records.measurements import Agreement, Measurement, Peak, Placement, TimingProof
from cnnbench.records.runs import DataSet, Environment, SanityRun, TrainingRun

SCHEMA_VERSION = 4


Record = Environment | DataSet | TrainingRun | SanityRun | Measurement | Peak | CheckResult


_TYPES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (Environment, DataSet, TrainingRun, SanityRun, Measurement, Peak, CheckResult)
}


_PARTS: dict[str, type[Any]] = {
    "agreement": Agreement,
    "timing": TimingProof,
    "placement": Placement,
}


def _tuples(value: Any) -> Any:
    """JSON has lists only; every sequence in a record is a tuple."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


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
    expected = {one.name for one in fields(cls)}
    if set(data) != expected:
        odd = ", ".join(sorted(set(data) ^ expected))
        raise ValueError(f"Missing or unknown fields: {odd}. Received: record={name!r}")
    if cls is Environment:
        return Environment(data["content"])
    values = {key: _tuples(value) for key, value in data.items()}
    for name, part in _PARTS.items():
        if values.get(name) is not None:
            values[name] = part(**values[name])
    record: Record = cls(**values)
    return record
