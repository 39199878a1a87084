"""A data set: which pixels, under which labels, are trained on and held out."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.pictures.decode import Pixels

_MANIFEST_VERSION = 1


@dataclass(frozen=True, eq=False)
class Split:
    """The pictures on one side of a split, sorted by name.

    Args:
        names: POSIX path of each picture, relative to the image folder.
        labels: Position of each picture's class, of shape `(n,)`.
        rows: Row of the pixel file for each picture, of shape `(n,)`.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Split({len(self.names)} pictures)"


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: the pictures to train on and the held-out ones.

    Args:
        name: Last part of the image folder's path.
        classes: Class names; the position is the label.
        pixels_path: `.npy` file of `uint8`, of shape `(rows, height, width, 3)`.
        train: Pictures to train on.
        validation: Held-out pictures.
        content_hash: SHA-256 over the classes and, for each split, the labels and decoded pixels
            in order: two data sets with one hash are the same to a model.
    """

    name: str
    classes: tuple[str, ...]
    pixels_path: Path
    train: Split
    validation: Split
    content_hash: str

    def __repr__(self) -> str:
        return (
            f"Splits({self.name!r}, classes={self.classes}, train={len(self.train.names)}, "
            f"validation={len(self.validation.names)})"
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, 3)`."""
        _, height, width, channels = self._pixels().shape
        return height, width, channels

    def train_pictures(self) -> Pixels:
        """Read the training pictures into memory, `(n, height, width, 3)`."""
        return self._pixels()[self.train.rows]

    def validation_pictures(self) -> Pixels:
        """Read the held-out pictures into memory, `(n, height, width, 3)`."""
        return self._pixels()[self.validation.rows]

    def _pixels(self) -> Pixels:
        try:
            pixels: Pixels = np.lib.format.open_memmap(self.pixels_path, mode="r")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"The decoded pixels of {self.name!r} are gone. Expected the file that "
                f"`load_splits` made; call it again to make another. "
                f"Received: pixels_path={self.pixels_path!s}"
            ) from error
        return pixels

    def save(self, path: Path) -> None:
        """Write a JSON manifest that another process can open; the pixels stay where they are.

        Args:
            path: File to write.
        """
        manifest = {
            "cnnbench_splits": _MANIFEST_VERSION,
            "name": self.name,
            "classes": self.classes,
            "pixels_path": str(self.pixels_path.absolute()),
            "train": _split_to_json(self.train),
            "validation": _split_to_json(self.validation),
            "content_hash": self.content_hash,
        }
        path.write_text(json.dumps(manifest), encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> "Splits":
        """Read a manifest that `save` wrote.

        Args:
            path: The manifest.

        Returns:
            The data set.

        Raises:
            ValueError: The file is no manifest of this version.
        """
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest.get("cnnbench_splits") if isinstance(manifest, dict) else None
        if version != _MANIFEST_VERSION:
            raise ValueError(
                f"The file is not a data set manifest of version {_MANIFEST_VERSION}. Expected "
                f"one that `Splits.save` of this cnnbench wrote. Received: {path=!s}, {version=}"
            )
        return cls(
            manifest["name"],
            tuple(manifest["classes"]),
            Path(manifest["pixels_path"]),
            _split_from_json(manifest["train"]),
            _split_from_json(manifest["validation"]),
            manifest["content_hash"],
        )


def read_only(numbers: list[int]) -> npt.NDArray[np.int64]:
    """Return the numbers as an array that nobody can change."""
    array = np.array(numbers, np.int64)
    array.setflags(write=False)
    return array


def _split_to_json(split: Split) -> dict[str, Any]:
    return {
        "names": split.names,
        "labels": split.labels.tolist(),
        "rows": split.rows.tolist(),
    }


def _split_from_json(split: dict[str, Any]) -> Split:
    return Split(tuple(split["names"]), read_only(split["labels"]), read_only(split["rows"]))
