"""The drawn data set: heads of cats and dogs, and what is written where, under which label.

What tells the animals apart (ears, muzzle, nose, eyes, whiskers, the shape of the head) comes from
distributions that overlap, so that no cue decides alone. All else (fur, pose, background, light)
comes from distributions that both animals share.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Kind = Literal["cat", "dog"]
Colour = tuple[int, int, int]
Floats = NDArray[np.float64]
Cues = dict[str, float]
KINDS: tuple[Kind, ...] = ("cat", "dog")
# Raise it with every change of a pixel: a cache must not return an older drawing as this one.
DRAWING_VERSION = 1
_OVERSAMPLING = 2  # Pillow draws without antialiasing: so much larger than the reduced picture
_TURN = np.linspace(0.0, 2.0 * np.pi, 28, endpoint=False)
_OVAL: Floats = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
# White, grey, black, orange, brown and cream.
_FURS = np.array(
    [[235, 228, 218], [150, 148, 150], [62, 58, 60], [208, 138, 72], [128, 86, 54], [214, 184, 140]]
)
# Means of cats and of dogs, spread, lowest and highest. Lengths are in radii of the head.
_CUES = {
    "ear_droop": (0.11, 0.78, 0.2, 0.0, 1.0),  # 0 points upwards, 1 hangs down
    "ear_length": (0.78, 0.98, 0.17, 0.5, 1.4),
    "ear_roundness": (1.1, 1.9, 0.35, 0.95, 2.8),  # of a superellipse: 1 triangle, 2 ellipse
    "head_width": (1.07, 0.86, 0.08, 0.75, 1.2),
    "muzzle": (0.32, 0.6, 0.085, 0.22, 0.75),
    "nose": (0.085, 0.225, 0.045, 0.06, 0.3),
    "eye": (0.215, 0.13, 0.035, 0.08, 0.28),
    "pupil": (0.35, 0.85, 0.22, 0.15, 1.0),  # width over height: small is a slit, 1 is round
    "whiskers": (0.75, 0.1, 0.35, 0.0, 1.3),  # drawn when longer than 0.3
    "tongue": (-0.3, 0.0, 0.25, 0.0, 0.35),  # drawn when longer than 0.1
}
_IRISES = np.array([[190.0, 140.0, 50.0], [120.0, 160.0, 70.0], [90.0, 130.0, 160.0]])


@dataclass(frozen=True)
class DrawnSet:
    """What is drawn. The defaults are the embedded data set.

    Counts are of each class's folder. `wrong_label_share` of each folder shows the other animal: as
    in real data sets, accuracy can't reach 1, and the best possible is 1 minus this share.
    """

    train_per_class: int = 300
    validation_per_class: int = 160
    seed: int = 0
    wrong_label_share: float = 0.05
    size: int = 96


def write_drawn_set(target: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """Draws a data set into a new folder, and returns it.

    Writes `train/cats/0000.png` and so on, and last of all `drawn.json`. Picture k of a folder
    depends on the seed, the split, the class and k, not on how many are drawn. The bytes are the
    same for the same version of Pillow, in every process on the same kind of machine.
    """
    wrong: list[str] = []
    counts = {"train": drawn.train_per_class, "validation": drawn.validation_per_class}
    for split_number, (split, count) in enumerate(counts.items()):
        for class_number, kind in enumerate(KINDS):
            folder = target / split / f"{kind}s"
            folder.mkdir(parents=True)
            for number in range(count):
                path, shown = folder / f"{number:04d}.png", kind
                # Spread evenly, so that the first n pictures hold exactly round(share * n) wrong
                # labels for every n, and a label doesn't depend on how many follow.
                share = drawn.wrong_label_share
                if round((number + 1) * share) > round(number * share):
                    wrong.append(path.relative_to(target).as_posix())
                    shown = KINDS[1 - class_number]
                rng = np.random.default_rng((drawn.seed, split_number, class_number, number))
                # Noisy pictures hardly compress: a higher level only costs time.
                draw_picture(shown, rng, drawn.size).save(path, compress_level=1)
    text = json.dumps({**_identity(drawn), "wrong_labels": wrong}, indent=2) + "\n"
    (target / "drawn.json").write_text(text, encoding="utf-8")
    return target


def drawn_set_directory(cache: Path, drawn: DrawnSet = DrawnSet()) -> Path:
    """Returns the folder of a data set in `cache`, drawn on the first call only.

    It is always whole: a process that is killed while drawing leaves a folder of another name.
    """
    key = hashlib.sha256(json.dumps(_identity(drawn)).encode()).hexdigest()[:16]
    finished = cache / f"drawn-{key}"
    description = finished / "drawn.json"  # written last
    if description.is_file():
        return finished
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".drawing-", dir=cache) as scratch:
        written = write_drawn_set(Path(scratch) / "set", drawn)
        if not description.is_file():
            # Somebody removed a part of it: nothing here can be relied upon.
            shutil.rmtree(finished, ignore_errors=True)
        try:
            os.rename(written, finished)
        except OSError:
            # Another process was quicker, and drew the same.
            if not description.is_file():
                raise
    return finished


def _identity(drawn: DrawnSet) -> dict[str, object]:
    versions = {"drawing_version": DRAWING_VERSION, "pillow_version": PIL.__version__}
    return {**versions, **asdict(drawn)}


@dataclass(frozen=True)
class Coat:
    """The colours of one animal, chosen without knowing which animal it is."""

    fur: Colour
    dark: Colour
    light: Colour
    pattern: Literal["plain", "stripes", "patch", "spots"]


class _Pen:
    """Draws onto a canvas what is given in the head's coordinates: centre 0, y downwards."""

    def __init__(self, canvas: Image.Image, matrix: Floats, origin: Floats) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self._matrix = matrix
        self._origin = origin
        self._unit = float(np.sqrt(abs(np.linalg.det(matrix))))

    def polygon(self, points: Floats, colour: Colour) -> None:
        self._draw.polygon(self._placed(points), fill=colour)

    def line(self, points: Floats, colour: Colour, width: float) -> None:
        pixels = max(1, round(width * self._unit))
        self._draw.line(self._placed(points), fill=colour, width=pixels, joint="curve")

    def oval(self, x: float, y: float, radii: tuple[float, float], colour: Colour) -> None:
        self.polygon(_OVAL * radii + (x, y), colour)

    def _placed(self, points: Floats) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (points @ self._matrix.T + self._origin).tolist()]


def draw_picture(kind: Kind, rng: np.random.Generator, size: int) -> Image.Image:
    """Draws an RGB picture of `size` × `size` pixels, all of whose variation comes from `rng`."""
    canvas = _background(rng, size * _OVERSAMPLING)
    _animal(_Pen(canvas, *_pose(rng, canvas.width)), _cues(kind, rng), _coat(rng), rng)
    _occlude(canvas, rng)
    return _photograph(canvas.reduce(_OVERSAMPLING), rng)


def _cues(kind: Kind, rng: np.random.Generator) -> Cues:
    cues = {}
    for name, (*means, spread, lowest, highest) in _CUES.items():
        value = rng.normal(means[KINDS.index(kind)], spread)
        cues[name] = float(np.clip(value, lowest, highest))
    return cues


def _coat(rng: np.random.Generator) -> Coat:
    fur, other = _FURS[rng.integers(len(_FURS), size=2)] + rng.normal(0, 14, (2, 1))
    fur += rng.normal(0, 5, 3)
    return Coat(
        fur=_colour(fur),
        dark=_colour(fur * rng.uniform(0.55, 0.75)),
        light=_colour(fur + (other + 60 - fur) * rng.uniform(0.3, 0.7)),
        pattern=("plain", "stripes", "patch", "spots")[rng.integers(4)],
    )


def _colour(values: Floats) -> Colour:
    red, green, blue = np.clip(values, 0, 255).astype(int).tolist()
    return red, green, blue


def _pose(rng: np.random.Generator, side: int) -> tuple[Floats, Floats]:
    """Returns matrix and origin that turn the head's coordinates into pixels."""
    angle = rng.normal(0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    width, height = rng.uniform((0.85, 0.9), (1.0, 1.05))
    squeeze = np.array([[width, rng.normal(0, 0.06)], [0.0, height]])
    return side * rng.uniform(0.28, 0.34) * turn @ squeeze, side * rng.normal(0.5, 0.03, 2)


def _background(rng: np.random.Generator, side: int) -> Image.Image:
    """Returns a gradient with shapes like ears, muzzles and whiskers: none alone is a cue."""
    first, second = rng.uniform(90, 170, (2, 1)) + rng.normal(0, 22, (2, 3))
    grid = np.linspace(-1.0, 1.0, 16)
    slope = rng.normal(0, 1, 2)
    ramp = 1.0 / (1.0 + np.exp(slope[0] * grid[:, None, None] + slope[1] * grid[None, :, None]))
    pixels = np.clip(first + ramp * (second - first), 0, 255).astype(np.uint8)
    canvas = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(2, 7)):
        fill = _colour((first + second) / 2 + rng.normal(0, 25) + rng.normal(0, 25, 3))
        centre, spread = rng.uniform(0, side, 2), side * rng.uniform(0.05, 0.22)
        corners = [(x, y) for x, y in (centre + rng.normal(0, spread, (3, 2))).tolist()]
        match rng.integers(3):
            case 0:
                draw.polygon(corners, fill=fill)
            case 1:
                x, y, width, height = (*centre, *(spread * rng.uniform(0.5, 1.2, 2)))
                draw.ellipse((x - width, y - height, x + width, y + height), fill=fill)
            case _:
                draw.line(corners, fill=fill, width=int(rng.integers(1, 7)))
    return canvas.filter(ImageFilter.BoxBlur(rng.uniform(0, 0.015) * side))


def _animal(pen: _Pen, cues: Cues, coat: Coat, rng: np.random.Generator) -> None:
    yaw, nod = rng.normal(0, 0.1, 2)
    if rng.random() < 0.7:
        pen.oval(rng.normal(0, 0.4), 1.7, (rng.uniform(0.7, 1.2), rng.uniform(0.9, 1.2)), coat.dark)
    upright = cues["ear_droop"] < 0.5
    if upright:
        _ears(pen, cues, coat, rng, inside=True)
    pen.oval(0.0, 0.0, (cues["head_width"], 0.95), coat.fur)
    _markings(pen, coat, rng)
    if not upright:
        _ears(pen, cues, coat, rng, inside=False)
    _eyes(pen, cues, rng, yaw, nod)
    # The snout stands out from the head, so a turn moves it farther than the eyes.
    _snout(pen, cues, coat, rng, yaw * 1.6, nod + 0.3 + 0.3 * cues["muzzle"])


def _ears(pen: _Pen, cues: Cues, coat: Coat, rng: np.random.Generator, inside: bool) -> None:
    # The upper half of a superellipse, from the base along the ear's axis to its tip.
    across = np.linspace(-1.0, 1.0, 15)[:, None]
    along = (1.0 - np.abs(across) ** cues["ear_roundness"]) ** (1.0 / cues["ear_roundness"])
    droop = cues["ear_droop"]
    base = np.array([cues["head_width"] * (0.55 + 0.3 * droop), -0.62 + 0.15 * droop])
    for mirror in ((-1.0, 1.0), (1.0, 1.0)):
        angle = 0.3 + 2.7 * droop + rng.normal(0, 0.12)
        axis = np.array([np.sin(angle), -np.cos(angle)])
        side = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.3, 0.42)
        shape = along * axis * cues["ear_length"] + across * side
        pen.polygon((base + shape) * mirror, coat.dark)
        if inside:
            pen.polygon((base + 0.6 * shape + 0.12 * axis) * mirror, coat.light)


def _markings(pen: _Pen, coat: Coat, rng: np.random.Generator) -> None:
    match coat.pattern:
        case "stripes":
            for x in np.linspace(-0.35, 0.35, rng.integers(3, 6)):
                stripe = np.array([[x, -0.85], [x * 0.7, rng.uniform(-0.6, -0.35)]])
                pen.line(stripe, coat.dark, 0.09)
        case "patch":
            radii = rng.uniform(0.3, 0.45), rng.uniform(0.3, 0.5)
            pen.oval(rng.choice((-0.42, 0.42)), -0.2, radii, coat.light)
        case "spots":
            for x, y in rng.normal(0, 0.35, (int(rng.integers(3, 8)), 2)):
                pen.oval(x, y, (0.12, 0.1), coat.dark)


def _eyes(pen: _Pen, cues: Cues, rng: np.random.Generator, yaw: float, nod: float) -> None:
    iris = _colour(_IRISES[rng.integers(len(_IRISES))] + rng.normal(0, 25, 3))
    apart = rng.uniform(0.36, 0.46) * cues["head_width"]
    for x in (yaw - apart, yaw + apart):
        y = nod - 0.18
        pen.oval(x, y, (cues["eye"], cues["eye"] * 0.9), iris)
        pen.oval(x, y, (cues["eye"] * 0.85 * cues["pupil"], cues["eye"] * 0.85), (15, 12, 12))
        pen.oval(x + 0.04, y - 0.05, (0.035, 0.035), (245, 245, 245))


def _snout(pen: _Pen, cues: Cues, coat: Coat, rng: np.random.Generator, x: float, y: float) -> None:
    muzzle = cues["muzzle"]
    if cues["tongue"] > 0.1:
        pen.oval(x, y + muzzle, (0.13, cues["tongue"]), (205, 100, 110))
    pen.oval(x, y, (muzzle * 0.95, muzzle), coat.light)
    dark = _colour(np.array([50.0, 40.0, 42.0]) + rng.uniform(0, 60))
    pen.oval(x, y - 0.45 * muzzle, (cues["nose"] * 1.2, cues["nose"]), dark)
    mouth = np.array([[-0.5, 0.55], [-0.2, 0.6], [0.0, 0.4], [0.2, 0.6], [0.5, 0.55]])
    pen.line(mouth * muzzle + (x, y), coat.dark, 0.05)
    if cues["whiskers"] > 0.3:
        hair = _colour(np.full(3, rng.choice((30.0, 245.0))))
        for mirror in (-1.0, 1.0):
            for slope in (-0.22, 0.0, 0.22):
                start = np.array([x + mirror * muzzle * 0.6, y + 0.3 * slope])
                way = cues["whiskers"] * np.array([mirror, slope + rng.normal(0, 0.05)])
                pen.line(np.stack([start, start + way]), hair, 0.025)


def _occlude(canvas: Image.Image, rng: np.random.Generator) -> None:
    if rng.random() < 0.4:
        # Around a point at the edge, so that a part of the animal is hidden and never all of it.
        x, y = canvas.width * (0.5 + 0.5 * _OVAL[rng.integers(len(_OVAL))])
        radius = canvas.width * rng.uniform(0.1, 0.25)
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(canvas).ellipse(box, fill=_colour(rng.uniform(20, 240, 3)))


def _photograph(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Adds blur, light from one side, contrast, brightness and noise, in a camera's order."""
    size = picture.width
    blurred = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.012) * size))
    grid = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = rng.normal(0, 0.15, 2).astype(np.float32)
    light = 1 + slope[0] * grid[:, None, None] + slope[1] * grid[None, :, None]
    # Low contrast and noise keep a small CNN from learning single pictures by heart at once.
    contrast, brightness = np.float32(rng.uniform(0.5, 1.0)), np.float32(rng.normal(128, 20))
    pixels = (np.asarray(blurred, dtype=np.float32) * light - 128) * contrast + brightness
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(8, 24))
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
