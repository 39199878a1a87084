"""Writes tiny picture folders: noisy squares whose bright side tells the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 24


def picture(label: int, rng: np.random.Generator) -> np.ndarray:
    """Returns uint8 `(24, 24, 3)`: class 0 is bright on top, class 1 at the bottom, 2 left."""
    pixels = rng.normal(110, 35, (SIDE, SIDE, 3))
    half = SIDE // 2
    where = (np.s_[:half], np.s_[half:], np.s_[:, :half])[label]
    pixels[where] += 45
    return pixels.clip(0, 255).astype(np.uint8)


def write_pictures(
    root: Path,
    classes: tuple[str, ...] = ("cats", "dogs"),
    train: int = 48,
    validation: int = 24,
    seed: int = 0,
    wrong_labels: float = 0.0,
) -> Path:
    """Writes `root/{train,validation}/<class>/NNN.png` and returns `root`.

    Args:
        train: pictures a class to train on.
        validation: held-out pictures a class.
        wrong_labels: share of training pictures that stand under a class drawn at random.
    """
    rng = np.random.default_rng(seed)
    for part, count in (("train", train), ("validation", validation)):
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                shown = label
                if part == "train" and rng.random() < wrong_labels:
                    shown = int(rng.integers(len(classes)))
                Image.fromarray(picture(shown, rng)).save(folder / f"{number:03d}.png")
    return root
