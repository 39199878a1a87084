"""Held-out pictures that are trained on in another form are found, and strangers are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from cnnbench.pictures.data_set import load_splits
from cnnbench.pictures.drawn_set import draw_picture
from cnnbench.pictures.near_duplicates import NearDuplicates, find_near_duplicates, near_duplicates
from cnnbench.pictures.pixels import decode_pictures

COUNT = 24


def drawing(number: int) -> Image.Image:
    return draw_picture(("cat", "dog")[number % 2], np.random.default_rng(number), 96)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """Returns a function that returns pictures as a session sees them."""
    folder = tmp_path_factory.mktemp("pictures")

    def decoded(pictures, size=(64, 64)):
        paths = [folder / f"{number}.png" for number in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            picture.save(path, compress_level=1)
        return decode_pictures(paths, size)

    return decoded


@pytest.fixture(scope="module")
def drawings():
    return [drawing(number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def train(decoded, drawings):
    return decoded(drawings)


def saved_again(picture: Image.Image, form: str = "JPEG", **options: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, form, **(options or {"quality": 30}))
    return Image.open(file).convert("RGB")


def kept(picture: Image.Image, left: float, top: float, right: float, bottom: float):
    box = np.array([left, top, right, bottom]) * (picture.size * 2)
    return picture.crop(tuple(box.round().astype(int).tolist()))


FORMS = {
    "as it is": lambda picture: picture,
    "JPEG of quality 30": saved_again,
    "half the size and back": lambda picture: picture.resize((48, 48)).resize((96, 96)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "mirrored": ImageOps.mirror,
    "cropped": lambda picture: kept(picture, 0.025, 0.025, 0.975, 0.975),
    "cropped to a corner": lambda picture: kept(picture, 0, 0, 0.95, 0.95),
    "lower edge cut off": lambda picture: kept(picture, 0, 0, 1, 0.95),
    "cropped by 4 %": lambda picture: kept(picture, 0.02, 0.02, 0.98, 0.98),
    "grey": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
    "GIF": lambda picture: saved_again(picture, "GIF"),
    "mirrored, cropped, saved": lambda p: saved_again(kept(ImageOps.mirror(p), 0, 0, 0.95, 0.95)),
}


def pairs(train, validation):
    """Returns the near-duplicates, without pictures that only look alike."""
    found = find_near_duplicates(train, validation)
    return [(twin.train, twin.validation) for twin in found if twin.is_near_duplicate]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_picture_in_another_form_is_found(decoded, train, drawings, form):
    expected = [(number, number) for number in range(COUNT)]
    assert pairs(train, decoded([form(picture) for picture in drawings])) == expected


def test_it_does_not_matter_which_side_is_cropped(decoded, train, drawings):
    cropped = decoded([FORMS["cropped to a corner"](picture) for picture in drawings])
    assert pairs(cropped, train) == [(number, number) for number in range(COUNT)]


@pytest.mark.parametrize("size", [(24, 24), (33, 50), (150, 100)])
def test_pictures_of_any_size_are_compared(decoded, drawings, size):
    train = decoded(drawings[:12], size)
    mirrored = decoded([ImageOps.mirror(picture) for picture in drawings[:12]], size)
    assert pairs(train, mirrored) == [(number, number) for number in range(12)]


def test_the_twin_most_like_a_picture_is_named(decoded, train, drawings):
    poor = decoded([saved_again(drawings[3])])
    assert pairs(np.concatenate([poor, train]), train[3:4]) == [(4, 0)]


@pytest.mark.parametrize("form", ["as it is", "grey", "mirrored, cropped, saved"])
def test_a_single_pair_is_found_among_strangers(decoded, train, drawings, form):
    strangers = [drawing(number) for number in range(1000, 1000 + COUNT)]
    assert pairs(train, decoded([*strangers, FORMS[form](drawings[5])])) == [(5, COUNT)]


def test_copies_among_the_training_pictures_hide_no_pair(decoded, drawings):
    copies = [saved_again(picture, quality=q) for picture in drawings[:4] for q in (50, 70)]
    again = decoded([saved_again(picture) for picture in drawings[:8]])
    found = pairs(decoded([*drawings, *copies]), again)
    assert [held_out for _, held_out in found] == list(range(8))


def test_one_training_picture_is_enough(decoded, train, drawings):
    assert pairs(train[:1], decoded([ImageOps.mirror(drawings[0])])) == [(0, 0)]


def fields(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns pictures that show nothing: `(count, 64, 64, 3)`."""
    down, across = np.mgrid[-1:1:64j, -1:1:64j][..., None]
    strength = rng.uniform(20, 45, (count, 1, 1, 1))
    light = {
        "uniform": 0 * down,
        "slope": strength * down,
        "vignette": -strength * (down**2 + across**2),
        "noise": rng.normal(0, 40, (count, 64, 64, 3)),
    }[kind]
    grain = rng.normal(0, 2, (count, 64, 64, 3))
    return (rng.integers(100, 150, (count, 1, 1, 1)) + light + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["uniform", "slope", "vignette", "noise"])
def test_pictures_that_show_nothing_are_not_all_alike(kind):
    pictures = fields(kind, 60, np.random.default_rng(0))
    pictures[[0, 30]] = 255  # a twin, had it more than one colour
    assert pairs(pictures[:30], pictures[30:]) == []


# Strangers that look alike


def digit(rng: np.random.Generator) -> Image.Image:
    """Returns a digit of seven segments, each drawn by an unsteady hand."""
    corners = [(2, 1), (6, 1), (2, 5), (6, 5), (2, 9), (6, 9)]
    segments = [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5)]
    lit = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010")
    picture = Image.new("RGB", (88, 110))
    pen = ImageDraw.Draw(picture)
    ends = np.array(corners) * 11 + rng.normal(0, 3, (6, 2))
    for (start, end), shown in zip(segments, lit[rng.integers(8)], strict=True):
        if shown == "1":
            pen.line([tuple(ends[start]), tuple(ends[end])], "white", 12)
    return picture


def product_shot(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (96, 96), "white")
    width, height = rng.integers(20, 76, 2)
    left, top = rng.integers(4, 92 - width), rng.integers(4, 92 - height)
    colour = tuple(rng.integers(0, 220, 3).tolist())
    ImageDraw.Draw(picture).ellipse((left, top, left + width, top + height), colour)
    return picture


@pytest.mark.parametrize("draw", [digit, product_shot])
def test_strangers_that_look_alike_are_found_and_are_no_near_duplicates(decoded, draw):
    rng = np.random.default_rng(0)
    pictures = decoded([draw(rng) for _ in range(240)])
    found = find_near_duplicates(pictures[:180], pictures[180:])
    assert [twin for twin in found if twin.is_near_duplicate] == []
    assert len(found) > 5


def test_a_picture_saved_again_is_found_among_strangers_that_look_alike(decoded):
    rng = np.random.default_rng(0)
    drawings = [digit(rng) for _ in range(100)]
    again = decoded([*drawings[60:], saved_again(drawings[7], quality=80)])
    assert pairs(decoded(drawings[:60]), again) == [(7, 40)]


def test_more_pairs_than_strangers_show_are_found(decoded):
    rng = np.random.default_rng(0)
    shots = [product_shot(rng) for _ in range(160)]
    slightly = [kept(picture, 0.01, 0.01, 0.99, 0.99) for picture in shots[:40]]
    found = pairs(decoded(shots[:120]), decoded([*slightly, *shots[120:]]))
    assert sum(train == held_out for train, held_out in found) > 30


def test_pairs_are_named(tmp_path, drawings, own_cache):
    for number, picture in enumerate(drawings[:8]):
        part = "train" if number < 4 else "validation"
        folder = tmp_path / part / ("cats" if number % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{number}.png")
    drawings[1].save(tmp_path / "validation" / "dogs" / "again.jpg", quality=60)
    assert near_duplicates(load_splits(tmp_path, cache=own_cache)) == NearDuplicates(
        pairs=(("train/cats/1.png", "validation/dogs/again.jpg"),)
    )
