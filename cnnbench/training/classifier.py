"""A trained classifier as a folder: `model.json` (plain data) and `weights.npz` (numbers).

Neither file holds code. To use it again, the model is rebuilt from its variant, and a
user's own model from the function that it names, which must be importable.
"""

from __future__ import annotations

import importlib.metadata
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnnbench import __version__
from cnnbench.models.variants import Variant
from cnnbench.pictures.pixels import decode_pictures
from cnnbench.records.journal import from_data
from cnnbench.training.protocols import Protocol

if TYPE_CHECKING:
    import keras

    from cnnbench.training.train import Trained

MODEL_NAME = "model.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 1


@dataclass(frozen=True)
class Description:
    """What `model.json` holds; `training` are the numbers of the training's record."""

    format: int
    cnnbench: str
    keras: str
    variant: Variant
    protocol: Protocol
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    training: dict[str, Any]


@dataclass(frozen=True)
class Classifier:
    """A saved classifier; its model is built when it is first used."""

    description: Description
    weights: tuple[npt.NDArray[Any], ...] = field(repr=False)

    @cached_property
    def model(self) -> keras.Model:
        """The Keras model with the saved weights."""
        from cnnbench.models.network import build_model

        known = self.description
        model = build_model(known.variant, known.input_shape, len(known.classes))
        try:
            model.set_weights(list(self.weights))
        except ValueError as error:
            raise ValueError(
                f"{WEIGHTS_NAME} does not hold the weights of {known.variant.name!r}: {error}"
            ) from error
        return model

    def predict(self, paths: Sequence[Path]) -> list[tuple[str, float]]:
        """Returns the likeliest class of each picture file and its probability."""
        pictures = decode_pictures(paths, self.description.input_shape[:2])
        answers = np.asarray(self.model.predict_on_batch(pictures), dtype=np.float64)
        if answers.shape[1] == 1:
            answers = np.concatenate([1 - answers, answers], axis=1)
        classes = self.description.classes
        return [(classes[row.argmax()], float(row.max())) for row in answers]


def save(trained: Trained, folder: str | Path) -> None:
    """Saves a trained classifier in a folder.

    Args:
        trained: what `train` returned.
        folder: made if it is missing; a classifier in it is overwritten.
    """
    record = asdict(trained.run)
    description = Description(
        format=FORMAT,
        cnnbench=__version__,
        keras=importlib.metadata.version("keras"),
        variant=trained.variant,
        protocol=trained.protocol,
        classes=trained.classes,
        input_shape=trained.input_shape,
        training={name: v for name, v in record.items() if isinstance(v, (int, float, str))},
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS_NAME, *trained.model.get_weights())
    text = json.dumps(asdict(description), indent=2) + "\n"
    (folder / MODEL_NAME).write_text(text, encoding="utf-8")


def load_classifier(folder: str | Path) -> Classifier:
    """Reads a classifier that `save` or `cnnbench train` wrote.

    Raises:
        FileNotFoundError: if the folder or one of its files is absent.
        ValueError: if a file is damaged or of another format.
    """
    folder = Path(folder)
    for name in (MODEL_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"No classifier there: {name} is absent. Expected a folder that `cnnbench train "
                f"--out` wrote. Received: folder={str(folder)!r}"
            )
    name = MODEL_NAME
    try:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        description: Description = from_data(Description, data)
        if description.format != FORMAT:
            raise ValueError(f"expected format {FORMAT}")
        name = WEIGHTS_NAME
        # Numbers only: without pickles a file can't bring code along.
        with (folder / name).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            weights = tuple(file.values())
    except (ValueError, TypeError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"Damaged {folder / name}: {error}") from error
    return Classifier(description, weights)


def predict(folder: str | Path, pictures: Sequence[str | Path]) -> list[tuple[str, float]]:
    """Classifies picture files.

    Args:
        folder: of a classifier that `save` or `cnnbench train` wrote.
        pictures: picture files.

    Returns:
        The likeliest class of each picture and its probability.

    Raises:
        FileNotFoundError: if the folder or one of its files is absent.
        ValueError: if the classifier or a picture is damaged.
    """
    return load_classifier(folder).predict([Path(path) for path in pictures])
