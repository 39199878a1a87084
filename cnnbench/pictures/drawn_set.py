"""The drawn data set: which pictures are drawn, what is written where, and under which label."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL

from cnnbench.pictures.drawn_animals import KINDS, draw_picture

# Raise it with every change of a pixel: a cache must not return an older drawing as this one.
DRAWING_VERSION = 1
DESCRIPTION_NAME = "drawn.json"

# The quickest level: noisy pictures hardly compress, and a higher one only costs time.
_PNG_COMPRESSION = 1


@dataclass(frozen=True)
class DrawnSet:
    """What is drawn. The defaults are the embedded data set.

    Args:
        train_per_class: training pictures in each class's folder.
        validation_per_class: held-out pictures in each class's folder.
        seed: another seed draws other pictures.
        wrong_label_share: share of each folder that shows the other animal, from 0 to 0.5. It keeps
            accuracy from reaching 1, as real data sets do: the best possible is 1 minus this share.
        size: width and height in pixels.
    """

    train_per_class: int = 300
    validation_per_class: int = 160
    seed: int = 0
    wrong_label_share: float = 0.05
    size: int = 96


def write_drawn_set(target: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """Draws a data set into a folder, which is made.

    Writes `train/cats/0000.png` and so on, the same for `dogs` and for `validation`, and last of
    all `drawn.json`. Picture k of a folder depends on the seed, the split, the class and k, not on
    how many are drawn. The bytes are the same for the same version of Pillow, in every process on
    the same kind of machine.

    Returns:
        `target`.
    """
    wrong: list[str] = []
    counts = {"train": drawn.train_per_class, "validation": drawn.validation_per_class}
    for split_number, (split, count) in enumerate(counts.items()):
        for class_number, kind in enumerate(KINDS):
            folder = target / split / f"{kind}s"
            folder.mkdir(parents=True)
            for number in range(count):
                path, shown = folder / f"{number:04d}.png", kind
                if _is_wrong(number, drawn.wrong_label_share):
                    wrong.append(path.relative_to(target).as_posix())
                    shown = KINDS[1 - class_number]
                rng = np.random.default_rng((drawn.seed, split_number, class_number, number))
                draw_picture(shown, rng, drawn.size).save(path, compress_level=_PNG_COMPRESSION)
    text = json.dumps({**_identity(drawn), "wrong_labels": wrong}, indent=2) + "\n"
    (target / DESCRIPTION_NAME).write_text(text, encoding="utf-8")
    return target


def drawn_set_directory(cache: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """Returns the folder of a data set, drawn on the first call only.

    Args:
        cache: folder in which data sets are kept; made if it is missing.
        drawn: what to draw.

    Returns:
        A folder in `cache`, as `write_drawn_set` writes it. It is always whole: a process that is
        killed while drawing leaves a folder of another name behind.
    """
    key = hashlib.sha256(json.dumps(_identity(drawn)).encode()).hexdigest()[:16]
    finished = cache / f"drawn-{key}"
    if _is_finished(finished):
        return finished
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".drawing-", dir=cache) as scratch:
        written = write_drawn_set(Path(scratch) / "set", drawn)
        if not _is_finished(finished):
            # Somebody removed a part of it: nothing here can be relied upon.
            shutil.rmtree(finished, ignore_errors=True)
        try:
            os.rename(written, finished)
        except OSError:
            # Another process was quicker, and drew the same.
            if not _is_finished(finished):
                raise
    return finished


def _identity(drawn: DrawnSet) -> dict[str, object]:
    versions = {"drawing_version": DRAWING_VERSION, "pillow_version": PIL.__version__}
    return {**versions, **asdict(drawn)}


def _is_finished(folder: Path) -> bool:
    return (folder / DESCRIPTION_NAME).is_file()  # it is written last


def _is_wrong(number: int, share: float) -> bool:
    # Spread evenly, so that the first n pictures hold exactly round(share * n) wrong labels for
    # every n, and a picture's label doesn't depend on how many follow.
    return round((number + 1) * share) > round(number * share)
