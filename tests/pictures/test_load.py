from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnbench.pictures.data_set import LeakError, Splits, load_splits


def save(path: Path, shade: int) -> None:
    """Save a picture of one grey."""
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
def one_level(tmp_path):
    """Ten pictures of each of two classes."""
    for shade in range(20):
        save(tmp_path / "pets" / ("cats" if shade < 10 else "dogs") / f"{shade}.png", shade)
    return tmp_path / "pets"


@pytest.fixture
def load(tmp_path):
    """Returns `load_splits` with a cache and a small size."""
    return lambda root, **options: load_splits(
        root, **{"cache": tmp_path / "cache", "image_size": 6} | options
    )


def test_names_labels_and_pictures_belong_together(folder, load):
    splits = load(folder)
    assert splits.classes == ("cats", "dogs")
    assert splits.train.names == ("train/cats/b.png", "train/cats/c.png", "train/dogs/a.png")
    assert splits.train.labels.tolist() == [0, 0, 1]
    assert splits.train_pictures()[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert splits.validation.names == ("validation/cats/a.png", "validation/dogs/a.png")
    assert splits.validation.labels.tolist() == [0, 1]
    assert splits.validation_pictures()[:, 0, 0, 0].tolist() == [40, 50]


def test_shapes_and_dtypes(folder, load):
    splits = load(folder)
    assert splits.input_shape == (6, 6, 3)
    assert splits.train_pictures().shape == (3, 6, 6, 3)
    assert splits.train_pictures().dtype == np.uint8
    assert (splits.train.labels.dtype, splits.train.rows.dtype) == (np.int64, np.int64)


def test_pictures_are_in_memory_and_labels_cannot_be_changed(folder, load):
    splits = load(folder)
    assert not isinstance(splits.train_pictures(), np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        splits.train.labels[0] = 1


def test_name_is_the_last_part_of_the_path(folder, load, monkeypatch):
    monkeypatch.chdir(folder)
    assert load(Path()).name == load(folder).name == "pets"


def test_one_level_is_split_by_fraction_and_seed(one_level, load):
    splits = [load(one_level, split_seed=seed, validation_fraction=0.3) for seed in (1, 1, 2)]
    assert [np.bincount(s.train.labels).tolist() for s in splits] == [[7, 7]] * 3
    assert splits[0].validation.names == splits[1].validation.names != splits[2].validation.names


def test_pictures_are_decoded_once_however_they_are_split_and_called(one_level, load):
    calls = []

    def count(done, total):
        calls.append((done, total))

    load(one_level, progress=count)
    load(one_level, split_seed=1, progress=count)
    (one_level / "cats").rename(one_level / "kittens")
    load(one_level, progress=count)
    assert calls == [(i, 20) for i in range(1, 21)]


def test_picture_on_both_sides_is_refused_naming_both_files(folder, load):
    copy = folder / "validation/cats/z.png"
    copy.write_bytes((folder / "train/cats/c.png").read_bytes())
    with pytest.raises(LeakError, match=r"train/cats/c\.png and validation/cats/z\.png"):
        load(folder)


def test_damaged_picture_is_named(folder, load):
    damaged = folder / "train/cats/c.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"1 of 5 pictures(.|\n)*train/cats/c\.png: .*truncated"):
        load(folder)


def test_content_hash_ignores_where_pictures_are(folder, load, tmp_path):
    before = load(folder).content_hash
    assert load(folder.rename(tmp_path / "elsewhere"), cache=tmp_path / "2").content_hash == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("train/cats", "train/Cats"),
        ("train/cats/c.png", "train/dogs/0.png"),
        ("train/cats/b.png", "train/cats/d.png"),
        ("train/cats/b.png", "validation/cats/b.png"),
    ],
    ids=["class name", "label", "order", "split"],
)
def test_content_hash_is_of_what_a_model_sees(folder, load, old, new):
    before = load(folder).content_hash
    (folder / old).rename(folder / new)
    if new == "train/Cats":
        (folder / "validation/cats").rename(folder / "validation/Cats")
    assert load(folder).content_hash != before


def test_content_hash_changes_with_pixels_and_size(folder, load):
    hashes = [load(folder).content_hash, load(folder, image_size=4).content_hash]
    save(folder / "train/cats/b.png", 11)
    assert len({*hashes, load(folder).content_hash}) == 3


def test_manifest_brings_back_the_data_set_in_any_folder(folder, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = load(folder, cache=Path("cache"))
    saved.save(Path("splits.json"))
    monkeypatch.chdir("/")
    opened = Splits.open(tmp_path / "splits.json")
    assert opened.train_pictures()[:, 0, 0, 0].tolist() == [10, 20, 30]
    for part in ("train", "validation"):
        mine, other = getattr(saved, part), getattr(opened, part)
        assert (mine.names, mine.labels.tolist()) == (other.names, other.labels.tolist())
        assert mine.rows.tolist() == other.rows.tolist()
        assert other.labels.dtype == other.rows.dtype == np.int64
    assert vars(replace(opened, train=saved.train, validation=saved.validation)) == vars(saved)


def test_pixels_that_are_gone(folder, load):
    splits = load(folder)
    splits.pixels_path.unlink()
    with pytest.raises(FileNotFoundError, match=r"decoded pixels of 'pets' are gone.*pixels_path="):
        splits.train_pictures()
