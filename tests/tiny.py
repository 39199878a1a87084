"""Writes tiny picture folders: noisy squares whose bright side tells the class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24
HALVES = (np.s_[: SIDE // 2], np.s_[SIDE // 2 :], np.s_[:, : SIDE // 2])  # top, bottom, left


def write_pictures(
    root: Path,
    classes: Sequence[str] = ("cats", "dogs"),
    train: int = 48,
    validation: int = 24,
    wrong_labels: float = 0.0,
) -> Path:
    """Writes `root/{train,validation}/<class>/NNN.png`, so many per class, and returns `root`.

    A share of the training pictures, `wrong_labels`, shows a class drawn at random.
    """
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("validation", validation)):
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                is_drawn = part == "train" and rng.random() < wrong_labels
                shown = int(rng.integers(len(classes))) if is_drawn else label
                pixels = rng.normal(110, 35, (SIDE, SIDE, 3))
                pixels[HALVES[shown]] += 45
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(folder / f"{number:03d}.png")
    return root
