"""What was trained, on which pictures, and where.

A record is plain data (numbers, strings, tuples and dicts of them), so that it travels between
processes and into the journal as one line of JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

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
        names = ("name", "content_hash", "train_pictures")
        lists = ("classes", "input_shape", "train_labels_per_class")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: list(getattr(self, name)) for name in lists},
            "validation_pictures": len(self.validation_labels),
        }


@dataclass(frozen=True)
class TrainingRun:
    """One training of one variant under one seed.

    Accuracies and losses (in nats) are those of the final weights in inference mode. `history` is
    Keras' own, a value per epoch. `non_finite` is the epoch and the batch, both from 1, of a loss
    that is not finite: training stopped there. `val_probabilities` has a row per held-out picture:
    the probability of the second class (sigmoid) or of each class (softmax).
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

    def __repr__(self) -> str:
        return (
            f"TrainingRun({self.variant!r}, seed={self.seed}, epochs={self.epochs}, "
            f"val_accuracy={self.val_accuracy:.4f}, "
            f"generalization_gap={self.generalization_gap:+.4f}, seconds={self.seconds:.1f})"
        )


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
