"""The words of the project: frozen records of everything that was finished.

A record is plain data (numbers, strings, tuples and dicts of them), so that it
travels between processes and into the journal as one line of JSON. Python's JSON
keeps every float exactly, NaN and infinities included.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from cnnbench.measurements import Agreement, Measurement, Peak, Placement, TimingProof

SCHEMA_VERSION = 4

# An error is a check that could not be judged: its training failed, say.
Verdict = Literal["pass", "fail", "inconclusive", "error"]
SanityKind = Literal["memorization", "shuffled_labels"]


@dataclass(frozen=True)
class Environment:
    """The identity of a run: where, with what and on what it was measured."""

    content: dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """The pictures of a session; `content_hash` covers labels and decoded pixels."""

    name: str
    classes: tuple[str, ...]
    content_hash: str
    input_shape: tuple[int, int, int]
    train_pictures: int
    train_labels_per_class: tuple[int, ...]
    validation_names: tuple[str, ...]
    validation_labels: tuple[int, ...]
    load_seconds: float

    def summary(self) -> dict[str, Any]:
        """Returns what identifies the pictures, without their names."""
        return {
            "name": self.name,
            "content_hash": self.content_hash,
            "classes": list(self.classes),
            "input_shape": list(self.input_shape),
            "train_pictures": self.train_pictures,
            "train_labels_per_class": list(self.train_labels_per_class),
            "validation_pictures": len(self.validation_labels),
        }


@dataclass(frozen=True)
class TrainingRun:
    """One training of one variant under one seed.

    Accuracies and losses are those of the final weights in inference mode;
    `history` holds Keras' own History, a value an epoch. `non_finite` is the epoch and
    the batch, both from 1, of a loss that is not finite: training stopped there.
    `val_probabilities` has a row for each held-out picture: one number (the probability of
    the second class) for a sigmoid, one a class for a softmax. Losses are in nats, seconds
    wall clock.
    `prediction_difference` is the largest absolute difference between two predictions of the same
    held-out pictures, `dead_units` the share of each relu layer's units that are zero for all.
    """

    variant: str
    seed: int
    backend: str
    device: str
    dtype: str
    batch_size: int
    protocol: str
    threads: int
    epochs: int
    steps_per_epoch: int
    parameters: int
    initial_loss: float
    train_accuracy: float
    train_loss: float
    val_accuracy: float
    val_loss: float
    seconds: float
    evaluation_seconds: float
    unchanged_weights: tuple[str, ...]
    prediction_difference: float
    dead_units: dict[str, float]
    weights_sha256: str
    data_hash: str
    fingerprint: str
    non_finite: tuple[int, int] | None
    history: dict[str, tuple[float, ...]]
    val_probabilities: tuple[tuple[float, ...], ...]

    @property
    def generalization_gap(self) -> float:
        """Train accuracy minus held-out accuracy, both with the final weights."""
        return self.train_accuracy - self.val_accuracy


@dataclass(frozen=True)
class SanityRun:
    """A short training whose outcome is known beforehand.

    `memorization` learns one tiny batch by heart (accuracy and loss on that batch);
    `shuffled_labels` trains on labels without meaning (accuracy and loss held out).
    """

    kind: SanityKind
    variant: str
    seed: int
    backend: str
    device: str
    dtype: str
    batch_size: int
    steps: int
    accuracy: float
    loss: float
    seconds: float


@dataclass(frozen=True)
class CheckResult:
    """One property, its verdict and the numbers behind it.

    A gate, which is a check with a stated error rate, has an interval of what it observed
    (95 %), the p value of "all is well" after adjustment for the looks taken at it and for all
    gates of the session, and `alpha`, which that p value is compared with. `values` counts what the
    verdict rests on: seeds, or pairs of processes.
    """

    check: str
    variant: str
    seed: int | None
    backend: str
    device: str
    dtype: str
    batch_size: int | None
    verdict: Verdict
    observed: float
    threshold: float
    detail: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    values: int | None = None


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
