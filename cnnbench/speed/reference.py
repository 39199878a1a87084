"""What float32 on a CPU answers, as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WEIGHT, BEGUN = "weight_", "begun_"  # names in a reference's file


WEIGHT, BEGUN = "weight_", "begun_"  # names in a reference's file


@dataclass(frozen=True)
class TrainingAnswers:
    """What a few training steps make of a new network.

    `weights` are those that it begins with, in Keras' order, and `probabilities` `(n, outputs)`
    its answers to the held-out pictures after `steps` steps on the batches `first_batch`,
    `first_batch + 1`, ... of those that the seed draws. `rounding` is by how much these answers
    move when the weights are changed as little as rounding changes them.
    """

    weights: tuple[npt.NDArray[Any], ...]
    first_batch: int
    steps: int
    probabilities: npt.NDArray[np.float32]
    rounding: float


@dataclass(frozen=True)
class Reference:
    """What float32 on a CPU answers, by Keras' own calls.

    `weights` are in Keras' order, `probabilities` `(n, outputs)` are those of the held-out
    pictures with these weights. `training` is `None` where nothing was trained; `not_compared` then
    says why training has no answers. Floating point operations are those of one picture.
    """

    weights: tuple[npt.NDArray[Any], ...]
    probabilities: npt.NDArray[np.float32]
    training: TrainingAnswers | None
    inference_flops: float | None
    training_flops: float | None
    not_compared: str = ""

    def save(self, path: Path) -> None:
        """Writes a file without code; `load` reads it."""
        counted = (self.inference_flops, self.training_flops)
        given: dict[str, npt.NDArray[Any]] = {
            "probabilities": self.probabilities,
            "flops": np.array([np.nan if n is None else n for n in counted], np.float64),
            "not_compared": np.array(self.not_compared),
        }
        if self.training is not None:
            made = self.training
            given |= _named(made.weights, BEGUN)
            given["trained"] = made.probabilities
            given["training"] = np.array([made.first_batch, made.steps, made.rounding], np.float64)
        np.savez(path, allow_pickle=False, **given, **_named(self.weights))

    @classmethod
    def load(cls, path: Path) -> Reference:
        with np.load(path, allow_pickle=False) as file:
            inference, training = file["flops"]
            made = None
            if "training" in file.files:
                first, steps, rounding = file["training"]
                begun = _weights_in(file, BEGUN)
                made = TrainingAnswers(begun, int(first), int(steps), file["trained"], rounding)
            return cls(
                weights=_weights_in(file),
                probabilities=file["probabilities"],
                training=made,
                inference_flops=None if np.isnan(inference) else float(inference),
                training_flops=None if np.isnan(training) else float(training),
                not_compared=str(file["not_compared"]),
            )


def save_weights(weights: list[npt.NDArray[Any]], path: Path) -> None:
    """Writes a model's weights, in Keras' order."""
    np.savez(path, allow_pickle=False, **_named(tuple(weights)))


def load_weights(path: Path) -> tuple[npt.NDArray[Any], ...]:
    """Reads what `save_weights` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return _weights_in(file)


def _named(
    weights: tuple[npt.NDArray[Any], ...], prefix: str = WEIGHT
) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}{number:04d}": weight for number, weight in enumerate(weights)}


def _weights_in(file: Any, prefix: str = WEIGHT) -> tuple[npt.NDArray[Any], ...]:
    return tuple(file[name] for name in sorted(file.files) if name.startswith(prefix))
