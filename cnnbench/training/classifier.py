"""A trained classifier as a folder: `model.json` (plain data) and `weights.npz` (numbers).

Neither file holds code. To use it again, the model is rebuilt from its variant, and a
user's own model from the function that it names, which must be importable.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cnnbench import __version__
from cnnbench.models.network import build_model
from cnnbench.models.variants import Variant
from cnnbench.records.runs import TrainingRun
from cnnbench.training.protocols import Protocol

MODEL_NAME = "model.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 1


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
    model: keras.Model,
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
        "keras": keras.__version__,
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
    weights = {f"{i:03d}": weight for i, weight in enumerate(model.get_weights())}
    np.savez(directory / WEIGHTS_NAME, **weights)
    text = json.dumps(description, indent=2) + "\n"
    (directory / MODEL_NAME).write_text(text, encoding="utf-8")


def load_classifier(directory: Path) -> Classifier:
    """Rebuilds a classifier that `save_classifier` wrote.

    Raises:
        FileNotFoundError: if the folder or one of its files is absent.
        ValueError: if a file is damaged, of another format or does not fit the model.
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
    model = build_model(variant, (height, width, channels), len(classes))
    try:
        # Numbers only: without pickles a file can't bring code along.
        with (
            (directory / WEIGHTS_NAME).open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):
            weights = [file[name] for name in sorted(file.files)]
        model.set_weights(weights)
    except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            f"{directory / WEIGHTS_NAME} does not hold the weights of {variant.name!r}: {error}"
        ) from error
    return Classifier(model, classes, (height, width, channels))
