"""A folder as a data set: names, labels and pixels belong together, and sides share none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnbench.pictures.data_set import LeakError, Splits, load_splits, refuse_leaks, split_listing
from cnnbench.pictures.listing import Listing, Picture


def save(path: Path, shade: int) -> None:
    """Saves a picture of one grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (9, 9), shade).save(path)


@pytest.fixture
def folder(tmp_path):
    """Three training and two held-out pictures, whose shades tell them apart."""
    root = tmp_path / "pets"
    shades = {"train/dogs/a": 30, "train/cats/b": 10, "train/cats/c": 20}
    shades |= {"validation/dogs/a": 50, "validation/cats/a": 40}
    for name, shade in shades.items():
        save(root / f"{name}.png", shade)
    return root


@pytest.fixture
def load(tmp_path):
    """Returns `load_splits` with a cache and a small size."""
    return lambda root, **options: load_splits(
        root, **{"cache": tmp_path / "cache", "image_size": 6} | options
    )


def test_names_labels_and_pictures_in_memory_belong_together(folder, load, monkeypatch):
    monkeypatch.chdir(folder)
    splits = load(Path())
    assert splits.name == "pets"
    assert splits.classes == ("cats", "dogs")
    assert splits.train.names == ("train/cats/b.png", "train/cats/c.png", "train/dogs/a.png")
    assert splits.train.labels.tolist() == [0, 0, 1]
    pictures = splits.train_pictures()
    assert pictures[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert (pictures.shape, pictures.dtype, type(pictures)) == ((3, 6, 6, 3), np.uint8, np.ndarray)
    assert splits.input_shape == (6, 6, 3)
    assert splits.validation.names == ("validation/cats/a.png", "validation/dogs/a.png")
    assert splits.validation.labels.tolist() == [0, 1]
    assert splits.validation_pictures()[:, 0, 0, 0].tolist() == [40, 50]
    with pytest.raises(ValueError, match="read-only"):
        splits.train.labels[0] = 1


def test_one_level_is_split_by_fraction_and_seed_and_decoded_once(tmp_path, load):
    for shade in range(20):
        save(tmp_path / "pets" / ("cats" if shade < 10 else "dogs") / f"{shade}.png", shade)
    calls = []
    options = {"validation_fraction": 0.3, "progress": lambda *call: calls.append(call)}
    splits = [load(tmp_path / "pets", split_seed=seed, **options) for seed in (1, 1, 2)]
    assert [np.bincount(s.train.labels).tolist() for s in splits] == [[7, 7]] * 3
    assert splits[0].validation.names == splits[1].validation.names != splits[2].validation.names
    assert calls == [(number, 20) for number in range(1, 21)]


def test_content_hash_is_of_what_a_model_sees_and_not_of_where_it_is(folder, load, tmp_path):
    hashes = [load(folder).content_hash, load(folder, image_size=4).content_hash]
    moved = folder.rename(tmp_path / "elsewhere")
    assert load(moved, cache=tmp_path / "2").content_hash == hashes[0]
    # Labels, order, sides, class names and pixels.
    for new in ("train/dogs/0.png", "train/cats/a.png", "validation/cats/c.png"):
        picture = (moved / "train/cats/c.png").rename(moved / new)
        hashes.append(load(moved).content_hash)
        picture.rename(moved / "train/cats/c.png")
    for part in ("train", "validation"):
        (moved / part / "cats").rename(moved / part / "Cats")
    hashes.append(load(moved).content_hash)
    save(moved / "train/Cats/b.png", 11)
    hashes.append(load(moved).content_hash)
    assert len(set(hashes)) == 7


def test_manifest_brings_back_the_data_set_in_any_folder(folder, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = load(folder, cache=Path("cache"))
    saved.save(Path("splits.json"))
    monkeypatch.chdir("/")
    opened = Splits.open(tmp_path / "splits.json")
    assert opened.train_pictures()[:, 0, 0, 0].tolist() == [10, 20, 30]
    for mine, other in ((saved.train, opened.train), (saved.validation, opened.validation)):
        assert (mine.names, mine.labels.tolist()) == (other.names, other.labels.tolist())
        assert mine.rows.tolist() == other.rows.tolist()
        assert other.labels.dtype == other.rows.dtype == np.int64
    assert vars(replace(opened, train=saved.train, validation=saved.validation)) == vars(saved)


def test_pixels_that_are_gone(folder, load):
    splits = load(folder)
    splits.pixels_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"decoded pixels of 'pets' are gone.*pixels_path="):
        splits.train_pictures()


# Splitting

ROOT = Path("pictures")


def picture(name: str, label: int = 0) -> Picture:
    return Picture(name, ROOT / name, label)


def listing_of(cats: int, dogs: int) -> Listing:
    pictures = [picture(f"cats/{i}.jpg", 0) for i in range(cats)]
    pictures += [picture(f"dogs/{i}.jpg", 1) for i in range(dogs)]
    return Listing(ROOT, ("cats", "dogs"), tuple(pictures), None)


def own_digests(listing: Listing) -> dict[Path, str]:
    return {p.path: f"content of {p.name}" for p in listing.train}


def split_of(listing: Listing, digests=None, *, seed: int = 0, fraction=0.2) -> Listing:
    return split_listing(listing, digests or own_digests(listing), seed, fraction)


def counts(pictures) -> list[int]:
    return [sum(p.label == label for p in pictures) for label in (0, 1)]


def test_each_class_is_split_by_the_fraction_in_the_order_of_the_listing():
    listing = listing_of(50, 10)
    split = split_of(listing, fraction=0.3)
    assert counts(split.train) == [35, 7]
    assert counts(split.validation) == [15, 3]
    assert list(split.train) == [p for p in listing.train if p not in split.validation]
    assert list(split.validation) == [p for p in listing.train if p in split.validation]


def test_split_is_the_same_in_every_version():
    assert {p.name for p in split_of(listing_of(5, 5)).validation} == {"cats/2.jpg", "dogs/4.jpg"}


def test_names_and_their_order_do_not_matter():
    listing = listing_of(20, 20)
    digests = own_digests(listing)
    renamed = {p: picture(f"{k * 7 % 40}.jpg", p.label) for k, p in enumerate(listing.train)}
    again = replace(listing, train=tuple(sorted(renamed.values())))
    split = split_of(again, {new.path: digests[old.path] for old, new in renamed.items()})
    assert set(split.validation) == {renamed[p] for p in split_of(listing).validation}


@pytest.mark.parametrize(
    ("pictures", "copies"),
    [
        (20, {f"{c}/{i}.jpg": f"{c} {i // 2}" for c in ("cats", "dogs") for i in range(20)}),
        (10, {f"{c}/0.jpg": "both" for c in ("cats", "dogs")}),
    ],
    ids=["in a class", "in two classes"],
)
def test_equal_files_stay_on_one_side(pictures, copies):
    listing = listing_of(pictures, pictures)
    digests = own_digests(listing) | {ROOT / name: content for name, content in copies.items()}
    for seed in range(20):
        split = split_of(listing, digests, seed=seed)
        refuse_leaks(split, digests)
        assert counts(split.validation) == [pictures // 5] * 2


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_each_side_has_a_picture_of_each_class(fraction):
    split = split_of(listing_of(2, 3), fraction=fraction)
    assert min(counts(split.train) + counts(split.validation)) == 1


def test_contents_with_more_copies_than_are_held_out():
    listing = listing_of(10, 2)
    digests = own_digests(listing)
    digests |= {ROOT / f"cats/{i}.jpg": "six" if i < 6 else "four" for i in range(10)}
    assert counts(split_of(listing, digests).validation) == [4, 1]


@pytest.mark.parametrize("cats", [1, 5])
def test_class_of_one_content_is_named(cats):
    listing = listing_of(cats, 5)
    digests = own_digests(listing) | {ROOT / f"cats/{i}.jpg": "one" for i in range(cats)}
    message = rf"'cats' has too few.*Received: pictures={cats}, different=1, root=pictures"
    with pytest.raises(ValueError, match=message):
        split_of(listing, digests)


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 20, float("nan")])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match=r"more than 0 and less.*Received: validation_fraction="):
        split_of(listing_of(5, 5), fraction=fraction)


def test_leaks_are_pairs_of_equal_content_of_which_ten_are_named():
    train = tuple(picture(f"t{i}") for i in range(13))
    listing = Listing(ROOT, ("one",), train, tuple(picture(f"v{i}") for i in range(12)))
    digests = {p.path: p.name[1:] for p in (*train, *listing.validation)} | {ROOT / "t12": "0"}
    with pytest.raises(LeakError, match="12 held-out pictures are also trained on") as caught:
        refuse_leaks(listing, digests)
    message = str(caught.value)
    assert [f"  t{i} and v{i}\n" in message for i in range(12)] == [True] * 10 + [False] * 2
    assert "and 2 others" in message
    assert "delete one of each pair. Received: root=pictures" in message
