"""The drawn data set: which pictures are drawn, what is written where, and under which label."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import PIL

from cnnbench.pictures.drawn_animals import KINDS, SMALLEST_SIZE, Kind, draw_picture

__all__ = [
    "DRAWING_VERSION",
    "DrawnSet",
    "Kind",
    "draw_picture",
    "drawn_set_directory",
    "write_drawn_set",
]

# To be raised with every change of a pixel, lest a cache hand out an older drawing as this one.
DRAWING_VERSION = 1
DESCRIPTION_NAME = "drawn.json"

SplitName = Literal["train", "validation"]

# The quickest level: noisy pictures hardly compress, and a higher one only costs time.
_PNG_COMPRESSION = 1


@dataclass(frozen=True)
class DrawnSet:
    """What is drawn. The defaults are the embedded data set.

    Args:
        train_per_class: training pictures in each class's folder.
        validation_per_class: held-out pictures in each class's folder.
        seed: 0 or more; another seed draws other pictures.
        wrong_label_share: share of each folder that shows the other animal, from 0 to 0.5. It keeps
            accuracy from reaching 1, as it would in no honest data set.
        size: width and height in pixels, at least 16.

    Raises:
        ValueError: if a value is out of its range; the message names all that are.
    """

    train_per_class: int = 300
    validation_per_class: int = 160
    seed: int = 0
    wrong_label_share: float = 0.05
    size: int = 96

    def __post_init__(self) -> None:
        lowest = {
            "train_per_class": 1,
            "validation_per_class": 1,
            "seed": 0,
            "size": SMALLEST_SIZE,
        }
        problems = [
            f"`{name}` must be at least {least}; Received: {name}={getattr(self, name)}"
            for name, least in lowest.items()
            if getattr(self, name) < least
        ]
        share = self.wrong_label_share
        if not 0.0 <= share <= 0.5:
            problems.append(
                f"`wrong_label_share` must be from 0 to 0.5; Received: wrong_label_share={share}"
            )
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def ceiling(self) -> float:
        """The held-out accuracy of someone who names every animal right and knows no label.

        Exact, because the number of wrong labels is: `1 - wrong_label_share` wherever that share of
        the folder is a whole number of pictures, as it is by default.
        """
        count = self.validation_per_class
        return 1.0 - round(self.wrong_label_share * count) / count


@dataclass(frozen=True)
class _Picture:
    """One file to be drawn. `shown` is the animal in it, whatever the folder's name says."""

    path: str
    shown: Kind
    seed: tuple[int, int, int, int]
    wrong: bool


def write_drawn_set(target: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """Draws a data set into a folder.

    Writes `train/cats/0000.png` and so on, the same for `dogs` and for `validation`, and, when all
    pictures stand, `drawn.json`. Picture k of a folder depends on the seed, the split, the class
    and k, not on how many are drawn. The bytes are the same for the same version of Pillow, in
    every process on the same kind of machine.

    Args:
        target: folder to write to; made if it is missing.
        drawn: what to draw.

    Returns:
        `target`.

    Raises:
        FileExistsError: if `target` holds anything already.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise FileExistsError(f"`target` must be an empty folder; Received: target={target}")
    wrong: list[str] = []
    for picture in _pictures(drawn):
        path = target / picture.path
        path.parent.mkdir(parents=True, exist_ok=True)
        image = draw_picture(picture.shown, np.random.default_rng(picture.seed), drawn.size)
        image.save(path, compress_level=_PNG_COMPRESSION)
        if picture.wrong:
            wrong.append(picture.path)
    description = {
        "drawing_version": DRAWING_VERSION,
        "pillow_version": PIL.__version__,
        **asdict(drawn),
        "ceiling": drawn.ceiling,
        "wrong_labels": wrong,
    }
    text = json.dumps(description, indent=2) + "\n"
    (target / DESCRIPTION_NAME).write_text(text, encoding="utf-8")
    return target


def drawn_set_directory(cache: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """The folder of a data set, drawn on the first call only.

    Args:
        cache: folder in which data sets are kept; made if it is missing.
        drawn: what to draw.

    Returns:
        A folder in `cache`, as `write_drawn_set` writes it. It is always whole: a process that is
        killed while drawing leaves a folder of another name behind.
    """
    finished = cache / f"drawn-{_fingerprint(drawn)}"
    if _is_finished(finished):
        return finished
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".drawing-", dir=cache) as scratch:
        written = write_drawn_set(Path(scratch) / "set", drawn)
        if not _is_finished(finished):
            # Left by a hand that removed a part of it: nothing here can be relied upon.
            shutil.rmtree(finished, ignore_errors=True)
        try:
            os.rename(written, finished)
        except OSError:
            # Another process was quicker, and drew the same.
            if not _is_finished(finished):
                raise
    return finished


def _pictures(drawn: DrawnSet) -> Iterator[_Picture]:
    splits: tuple[SplitName, ...] = get_args(SplitName)
    for split_number, split in enumerate(splits):
        count = drawn.train_per_class if split == "train" else drawn.validation_per_class
        for class_number, kind in enumerate(KINDS):
            for number in range(count):
                wrong = _is_wrong(number, drawn.wrong_label_share)
                yield _Picture(
                    path=f"{split}/{kind}s/{number:04d}.png",
                    shown=KINDS[1 - class_number] if wrong else kind,
                    seed=(drawn.seed, split_number, class_number, number),
                    wrong=wrong,
                )


def _is_wrong(number: int, share: float) -> bool:
    # Spread evenly, so that the first n pictures hold exactly round(share * n) wrong labels for
    # every n, and a picture's label doesn't depend on how many follow.
    return round((number + 1) * share) > round(number * share)


def _is_finished(folder: Path) -> bool:
    return (folder / DESCRIPTION_NAME).is_file()  # it is written last


def _fingerprint(drawn: DrawnSet) -> str:
    identity = [DRAWING_VERSION, PIL.__version__, asdict(drawn)]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
