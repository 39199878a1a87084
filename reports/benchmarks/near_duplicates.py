"""On which pictures does `test_near_duplicates` fail, and does it find what was planted?

    python reports/benchmarks/near_duplicates.py --data photographs --out near_duplicates.csv

Honest sets, drawn or split anew in every trial: scikit-learn's digits (1437 and 360), product shots
on white (800 and 200: an ellipse each), scans of text (800 and 200). Then the drawn set of cnnbench
and every folder of `--data`. Into each of them one training picture, another in every trial, is
planted again among the held-out ones, in each of eight forms; and 50 at once, saved again.
Needs scikit-learn.

A row says how many pairs were planted at once, in how many of the trials the verdict was red, which
part of the planted pairs was named, and on average how many held-out pictures only looked alike.
A folder may hold pairs of its own: the photographs of `near_duplicates.csv` hold two.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from cnnbench.pictures.data_set import load_splits
from cnnbench.pictures.drawn_set import drawn_set_directory
from cnnbench.pictures.near_duplicates import find_near_duplicates
from cnnbench.pictures.pixels import Pixels, decode_pictures, default_cache_directory

SIZE = (64, 64)
MANY = 50
# Name, training and held-out pictures, and a training picture before it was decoded.
Set = tuple[str, Pixels, Pixels, Callable[[int], Image.Image]]


def digits(rng: np.random.Generator) -> list[Image.Image]:
    from sklearn.datasets import load_digits

    grey = (load_digits().images * 15.9).astype(np.uint8)
    return [Image.fromarray(picture).convert("RGB") for picture in rng.permutation(grey)]


def product_shots(rng: np.random.Generator) -> list[Image.Image]:
    return [_product_shot(rng) for _ in range(1000)]


def _product_shot(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (200, 200), "white")
    width, height = rng.integers(40, 160, 2)
    left, top = rng.integers(10, 191 - width), rng.integers(10, 191 - height)
    colour = tuple(rng.integers(0, 220, 3).tolist())
    ImageDraw.Draw(picture).ellipse((left, top, left + width, top + height), colour)
    return picture


def scans(rng: np.random.Generator) -> list[Image.Image]:
    return [_scan(rng) for _ in range(1000)]


def _scan(rng: np.random.Generator) -> Image.Image:
    page = Image.new("L", (300, 400), 248)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    left, line = rng.integers(20, 36, 2).tolist()
    while line < 340:
        lines = int(rng.integers(2, 6))
        letters = rng.choice([*"aeioulnrstdm   "], (lines, 44))
        pen.text((left, line), "\n".join(map("".join, letters)), 20, font)
        line += 16 * lines + int(rng.integers(8, 20))
    turned = page.rotate(rng.normal(0, 0.5), fillcolor=248)
    noisy = np.asarray(turned) + rng.normal(0, 4, (400, 300))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).convert("RGB")


HONEST = {"digits": (digits, 1437), "product shots": (product_shots, 800), "scans": (scans, 800)}


def saved(picture: Image.Image, form: str, **options: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return Image.open(file).convert("RGB")


def resized(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))


def cropped(picture: Image.Image) -> Image.Image:
    across, down = 0.02 * picture.width, 0.02 * picture.height
    box = (across, down, picture.width - across, picture.height - down)
    return picture.resize(picture.size, box=box)


def brightened(picture: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(1.2)


def greyed(picture: Image.Image) -> Image.Image:
    return ImageOps.grayscale(picture).convert("RGB")


FORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again": lambda picture: saved(picture, "JPEG", quality=60),
    "resized": resized,
    "cropped by 4 %": cropped,
    "brightened": brightened,
    "mirrored": ImageOps.mirror,
    "greyed": greyed,
    "another format": lambda picture: saved(picture, "GIF"),
    "mixed": lambda p: saved(resized(cropped(ImageOps.mirror(brightened(greyed(p))))), "JPEG"),
}


def decoded(pictures: list[Image.Image]) -> Pixels:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            picture.save(path, compress_level=1)
        return decode_pictures(paths, SIZE)


def honest_set(name: str, trial: int) -> Set:
    draw, train = HONEST[name]
    pictures = draw(np.random.default_rng(trial))
    pixels = decoded(pictures)
    return name, pixels[:train], pixels[train:], pictures.__getitem__


def folder_set(folder: Path, name: str) -> Set:
    splits = load_splits(folder, image_size=SIZE[0])

    def original(row: int) -> Image.Image:
        return Image.open(folder / splits.train.names[row]).convert("RGB")

    return name, splits.train_pictures(), splits.validation_pictures(), original


def planted(pictures: Set, form: str, pairs: int, trial: int) -> tuple[Pixels, list[int]]:
    """Return the held-out pictures with so many planted first, and whose twins they are."""
    _, train, validation, original = pictures
    rows = np.random.default_rng(trial).permutation(len(train))[:pairs].tolist()
    forms = decoded([FORMS[form](original(row)) for row in rows])
    return np.concatenate([forms, validation[pairs:]]), rows


def row_of(sets: Callable[[int], Set], trials: int, form: str, pairs: int) -> dict[str, object]:
    """Return a row of the table.

    Args:
        sets: the pictures of a trial.
        trials: how many.
        form: of what is planted.
        pairs: how many are planted at once; none if 0.
    """
    red, named, look_alikes, seconds = 0, 0, 0, 0.0
    for trial in range(trials):
        pictures = name, train, validation, _ = sets(trial)
        rows: list[int] = []
        if pairs:
            validation, rows = planted(pictures, form, pairs, trial)
        start = time.process_time()
        found = find_near_duplicates(train, validation)
        seconds += time.process_time() - start
        near = {(twin.train, twin.validation) for twin in found if twin.is_near_duplicate}
        red += bool(near)
        named += sum((row, at) in near for at, row in enumerate(rows))
        look_alikes += len(found) - len(near)
    return {
        "set": name,
        "held_out": len(validation),
        "planted": form if pairs else "",
        "pairs": pairs,
        "trials": trials,
        "red": red,
        "named": round(named / (pairs * trials), 2) if pairs else "",
        "look_alikes": round(look_alikes / trials, 1),
        "cpu_seconds": round(seconds / trials, 1),
    }


def rows_of(data: list[Path], trials: int) -> Iterator[dict[str, object]]:
    for name in HONEST:
        yield row_of(partial(honest_set, name), trials, "", 0)
    sets = [honest_set(name, 0) for name in HONEST]
    sets.append(folder_set(drawn_set_directory(default_cache_directory()), "drawn"))
    sets.extend(folder_set(folder, folder.name) for folder in data)
    for pictures in sets:
        same = partial(_same, pictures)
        if pictures[0] not in HONEST:
            yield row_of(same, 1, "", 0)
        for form in FORMS:
            yield row_of(same, trials, form, 1)
        yield row_of(same, trials, "saved again", MANY)


def _same(pictures: Set, _: int) -> Set:
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", default=[], help="a folder")
    parser.add_argument("--trials", type=int, default=10, help="of each row")
    parser.add_argument("--out", type=Path, required=True, help="the printed rows, as CSV")
    parsed = parser.parse_args()
    with parsed.out.open("w", newline="") as file:
        writer = None
        for row in rows_of(parsed.data, parsed.trials):
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            print(*row.values(), sep="  ", flush=True)
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
