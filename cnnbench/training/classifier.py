"""A trained classifier as a folder: `model.json` (plain data) and `weights.npz` (numbers).

Neither file holds code. To use it again, the model is rebuilt from its variant, and a
user's own model from the function that it names, which must be importable.
"""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnnbench import __version__
from cnnbench.models.variants import Variant
from cnnbench.records.runs import TrainingRun
from cnnbench.training.protocols import Protocol

if TYPE_CHECKING:
    import keras

MODEL_NAME = "model.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 1


@dataclass(frozen=True)
class StoredClassifier:
    """What the folder of a classifier holds."""

    variant: Variant
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    weights: tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True)
class Classifier:
    """A rebuilt model and what its answers mean."""

    model: keras.Model
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]

    def predict(self, pictures: np.ndarray) -> list[tuple[str, float]]:
        """Classifies pictures.

        Args:
            pictures: uint8 `(n, height, width, channels)`.

        Returns:
            For each picture the likeliest class and its probability.
        """
        answers = np.asarray(self.model.predict_on_batch(pictures), dtype=np.float64)
        if answers.shape[1] == 1:
            answers = np.concatenate([1 - answers, answers], axis=1)
        best = answers.argmax(axis=1)
        return [(self.classes[k], float(row[k])) for k, row in zip(best, answers, strict=True)]


def save_classifier(
    directory: Path,
    weights: Sequence[npt.NDArray[Any]],
    variant: Variant,
    protocol: Protocol,
    run: TrainingRun,
    classes: tuple[str, ...],
    input_shape: tuple[int, int, int],
) -> None:
    """Writes a classifier into an existing folder."""
    description: dict[str, Any] = {
        "format": FORMAT,
        "cnnbench": __version__,
        "keras": importlib.metadata.version("keras"),
        "variant": variant.to_dict(),
        "protocol": asdict(protocol),
        "classes": classes,
        "input_shape": input_shape,
        "training": {
            name: getattr(run, name)
            for name in (
                *("seed", "backend", "device", "threads", "epochs", "train_accuracy"),
                *("val_accuracy", "val_loss", "seconds", "data_hash", "weights_sha256"),
            )
        },
    }
    named: dict[str, Any] = {f"{i:03d}": weight for i, weight in enumerate(weights)}
    np.savez(directory / WEIGHTS_NAME, **named)
    text = json.dumps(description, indent=2) + "\n"
    (directory / MODEL_NAME).write_text(text, encoding="utf-8")


def read_classifier(directory: Path) -> StoredClassifier:
    """Reads what `save_classifier` wrote, without Keras and a backend, whose import takes seconds.

    Raises:
        FileNotFoundError: if the folder or one of its files is absent.
        ValueError: if a file is damaged or of another format.
    """
    for name in (MODEL_NAME, WEIGHTS_NAME):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"No classifier there: {name} is absent. Expected a folder that `cnnbench train "
                f"--out` wrote. Received: directory={str(directory)!r}"
            )
    try:
        description = json.loads((directory / MODEL_NAME).read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}")
        variant = Variant.from_dict(description["variant"])
        classes = tuple(map(str, description["classes"]))
        height, width, channels = map(int, description["input_shape"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"Damaged {directory / MODEL_NAME}: {error}") from error
    try:
        # Numbers only: without pickles a file can't bring code along.
        with (
            (directory / WEIGHTS_NAME).open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):
            weights = tuple(file[name] for name in sorted(file.files))
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            f"{directory / WEIGHTS_NAME} does not hold the weights of {variant.name!r}: {error}"
        ) from error
    return StoredClassifier(variant, classes, (height, width, channels), weights)


def load_classifier(directory: Path) -> Classifier:
    """Rebuilds a classifier that `save_classifier` wrote.

    Raises:
        FileNotFoundError: if the folder or one of its files is absent.
        ValueError: if a file is damaged, of another format or does not fit the model.
    """
    from cnnbench.models.network import build_model

    stored = read_classifier(directory)
    model = build_model(stored.variant, stored.input_shape, len(stored.classes))
    try:
        model.set_weights(list(stored.weights))
    except ValueError as error:
        raise ValueError(
            f"{directory / WEIGHTS_NAME} does not hold the weights of {stored.variant.name!r}: "
            f"{error}"
        ) from error
    return Classifier(model, stored.classes, stored.input_shape)
