"""A data set: which pixels, under which labels, are trained on and held out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnbench.pictures.decode import Pixels


@dataclass(frozen=True, eq=False)
class Split:
    """The pictures on one side, sorted by name.

    Args:
        names: POSIX path of each picture, relative to the folder of the data set.
        labels: position of each picture's class, `(n,)`.
        rows: row of the pixel file for each picture, `(n,)`.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str], labels: Sequence[int], rows: Sequence[int]) -> Split:
        """Makes a split whose numbers nobody can change."""
        split = cls(tuple(names), np.array(labels, np.int64), np.array(rows, np.int64))
        split.labels.setflags(write=False)
        split.rows.setflags(write=False)
        return split

    def __repr__(self) -> str:
        return f"Split({len(self.names)} pictures)"


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: the pictures to train on and the held-out ones.

    Args:
        name: of the folder.
        classes: class names; the position is the label.
        pixels_path: `.npy` file of uint8, `(rows, height, width, 3)`.
        train: pictures to train on.
        validation: held-out pictures.
        content_hash: SHA-256 over the classes and, for each side, the labels and decoded pixels
            in order: two data sets with the same hash are the same to a model.
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
        """Reads the training pictures into memory, `(n, height, width, 3)`."""
        return self._pixels()[self.train.rows]

    def validation_pictures(self) -> Pixels:
        """Reads the held-out pictures into memory, `(n, height, width, 3)`."""
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
        """Writes a JSON manifest that another process can open; the pixels stay where they are."""
        sides = {"train": self.train, "validation": self.validation}
        manifest = {
            "name": self.name,
            "classes": self.classes,
            "pixels_path": str(self.pixels_path.absolute()),
            "content_hash": self.content_hash,
            **{
                name: {
                    "names": side.names,
                    "labels": side.labels.tolist(),
                    "rows": side.rows.tolist(),
                }
                for name, side in sides.items()
            },
        }
        path.write_text(json.dumps(manifest), encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> Splits:
        """Reads a manifest that `save` wrote."""
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            name=manifest["name"],
            classes=tuple(manifest["classes"]),
            pixels_path=Path(manifest["pixels_path"]),
            train=Split.of(**manifest["train"]),
            validation=Split.of(**manifest["validation"]),
            content_hash=manifest["content_hash"],
        )
