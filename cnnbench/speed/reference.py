"""What float32 on a CPU answers, as a file, and how far the answers of timed programs agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.records.records import Agreement
from cnnbench.stats.answers import classes_of

Weights = tuple[npt.NDArray[Any], ...]  # in Keras' order
WEIGHT, BEGUN = "weight_", "begun_"  # names in a reference's file


@dataclass(frozen=True)
class TrainingAnswers:
    """What a few training steps make of a new network.

    `weights` are those that it begins with, and `probabilities` `(n, outputs)` its answers to the
    held-out pictures after `steps` steps on the batches `first_batch`, `first_batch + 1`, ... of
    those that the seed draws. `rounding` is by how much these answers move when the weights are
    changed as little as rounding changes them.
    """

    weights: Weights
    probabilities: npt.NDArray[np.float32]
    first_batch: int
    steps: int
    rounding: float


@dataclass(frozen=True)
class Reference:
    """What float32 on a CPU answers, by Keras' own calls.

    `probabilities` `(n, outputs)` are those of the held-out pictures with these `weights`.
    `training` is `None` where nothing was trained; `not_compared` then says why. Floating point
    operations are those of one picture.
    """

    weights: Weights
    probabilities: npt.NDArray[np.float32]
    training: TrainingAnswers | None
    inference_flops: float | None
    training_flops: float | None
    not_compared: str = ""

    def save(self, path: Path) -> None:
        """Writes a file without code; `load` reads it."""
        facts: dict[str, Any] = {
            "inference_flops": self.inference_flops,
            "training_flops": self.training_flops,
            "not_compared": self.not_compared,
        }
        arrays = {"probabilities": self.probabilities} | _named(self.weights, WEIGHT)
        if (made := self.training) is not None:
            facts["training"] = {
                "first_batch": made.first_batch,
                "steps": made.steps,
                "rounding": made.rounding,
            }
            arrays |= {"trained": made.probabilities} | _named(made.weights, BEGUN)
        np.savez(path, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)

    @classmethod
    def load(cls, path: Path) -> Reference:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            made = facts.pop("training", None)
            training = made and TrainingAnswers(_named_in(file, BEGUN), file["trained"], **made)
            return cls(_named_in(file, WEIGHT), file["probabilities"], training, **facts)


def save_weights(weights: Sequence[npt.NDArray[Any]], path: Path) -> None:
    """Writes a model's weights, in Keras' order."""
    np.savez(path, allow_pickle=False, **_named(weights, WEIGHT))


def load_weights(path: Path) -> Weights:
    """Reads what `save_weights` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return _named_in(file, WEIGHT)


def agreement_of(
    probabilities: npt.NDArray[np.floating[Any]],
    reference: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.int64],
) -> Agreement:
    """Compares answers with those of the reference.

    Args:
        probabilities: `(n, 1)` or `(n, classes)`.
        reference: the same of float32 on a CPU.
        labels: int64 `(n,)`, true classes.

    Returns:
        Shares and differences. An answer that is no number is wrong, and differs by 1.
    """
    given, known = classes_of(probabilities), classes_of(reference)
    differences = np.abs(probabilities.astype(np.float64) - reference.astype(np.float64))
    differences = np.where(np.isfinite(differences), differences, 1.0)
    return Agreement(
        pictures=len(labels),
        equal_share=float((given == known).mean()),
        probability_difference=float(differences.max()),
        accuracy_difference=float((given == labels).mean() - (known == labels).mean()),
    )


def _named(weights: Sequence[npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}{number:04d}": weight for number, weight in enumerate(weights)}


def _named_in(file: Any, prefix: str) -> Weights:
    return tuple(file[name] for name in sorted(file.files) if name.startswith(prefix))
