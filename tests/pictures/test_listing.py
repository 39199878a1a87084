import os
import re
from pathlib import Path

import pytest

from cnnbench.pictures.listing import list_pictures


def touch(root: Path, *names: str) -> Path:
    """Makes empty files; a listing looks at names only."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(pictures):
    return None if pictures is None else [picture.name for picture in pictures]


@pytest.mark.parametrize(
    ("files", "train", "held_out"),
    [
        (["dogs/a.jpg", "cats/b.JpEg"], ["cats/b.JpEg", "dogs/a.jpg"], None),
        (["dog.1.jpg", "cat.2.jpg", "cat.10.JPG"], ["cat.10.JPG", "cat.2.jpg", "dog.1.jpg"], None),
        (["c/in/a/1.jpg", "c/2.jpg", "d/1.jpg"], ["c/2.jpg", "c/in/a/1.jpg", "d/1.jpg"], None),
        (
            ["train/cat.1.jpg", "train/dog.1.jpg", "test/cat.2.jpg", "test/dog.2.jpg"],
            ["train/cat.1.jpg", "train/dog.1.jpg"],
            ["test/cat.2.jpg", "test/dog.2.jpg"],
        ),
        (
            [f"{part}/{c}/1.jpg" for part in ("train", "test", "val") for c in "ab"],
            ["train/a/1.jpg", "train/b/1.jpg"],
            ["val/a/1.jpg", "val/b/1.jpg"],
        ),
    ],
    ids=["one level", "flat names", "deep", "flat names in parts", "validation before test"],
)
def test_layouts_are_listed_by_name_and_labelled_by_class(tmp_path, files, train, held_out):
    listing = list_pictures(touch(tmp_path, *files))
    assert (names(listing.train), names(listing.validation)) == (train, held_out)
    assert [picture.path for picture in listing.train] == [tmp_path / name for name in train]
    assert listing.classes == tuple(sorted(listing.classes))
    assert all(listing.classes[p.label] in re.split(r"[/.]", p.name) for p in listing.train)


@pytest.mark.parametrize("train", ["train", "Training", "training_set"])
@pytest.mark.parametrize("held_out", ["validation", "valid", "Val", "test", "testing", "test_set"])
def test_usual_names_of_the_two_parts(tmp_path, train, held_out):
    touch(tmp_path, *(f"{part}/{c}/1.jpg" for part in (train, held_out) for c in ("cats", "dogs")))
    listing = list_pictures(tmp_path)
    assert names(listing.train) == [f"{train}/cats/1.jpg", f"{train}/dogs/1.jpg"]
    assert names(listing.validation) == [f"{held_out}/cats/1.jpg", f"{held_out}/dogs/1.jpg"]


def test_class_folder_may_be_a_link(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "data/dogs/1.jpg")
    (tmp_path / "data" / "cats").symlink_to(tmp_path / "elsewhere")
    assert names(list_pictures(tmp_path / "data").train) == ["cats/1.jpg", "dogs/1.jpg"]


@pytest.mark.parametrize(
    "name",
    ["cats/._1.jpg", "cats/Thumbs.db", "cats/notes.txt", "cats/.cache/2.jpg", "__MACOSX/x/1.jpg"],
)
def test_what_is_no_picture_is_passed_over(tmp_path, name):
    touch(tmp_path, "cats/1.jpg", "dogs/1.jpg", name)
    listing = list_pictures(tmp_path)
    assert listing.classes == ("cats", "dogs")
    assert names(listing.train) == ["cats/1.jpg", "dogs/1.jpg"]


def test_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch):
    touch(tmp_path, "cats/1.jpg", "cats/2.jpg", "cats/in/3.jpg", "dogs/1.jpg")
    expected = list_pictures(tmp_path)
    iterdir, walk = Path.iterdir, os.walk
    monkeypatch.setattr(Path, "iterdir", lambda self: sorted(iterdir(self), reverse=True))

    def backwards(folder, onerror):
        for parent, folders, files in walk(folder, onerror=onerror):
            folders.sort(reverse=True)
            yield parent, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", backwards)
    assert list_pictures(tmp_path) == expected


def test_what_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not exist.*Expected train/.*root=.*gone"):
        list_pictures(tmp_path / "gone")
    touch(tmp_path, "pictures.zip")
    with pytest.raises(NotADirectoryError, match=r"not a file; unpack it.*root=.*pictures\.zip"):
        list_pictures(tmp_path / "pictures.zip")


BOTH = ("train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["cats/notes.txt", "readme.md"], r"There are no pictures in .*Expected train/<class>"),
        (["cats/1.jpg"], r"only one class in .*: 'cats'.*at least two"),
        (["train/cats/1.jpg", "train/dogs/1.jpg"], r"has train/ but no validation/.*add valida"),
        (["val/cats/1.jpg", "val/dogs/1.jpg"], r"has val/ but no train/.*add train/"),
        ([*BOTH, "validation/a/1.jpg"], r"several folders for the same pictures: val, validation"),
        ([*BOTH, "1.jpg"], r"beside train and validation folders: 1\.jpg"),
        ([*BOTH, "train/c/1.jpg", "val/d/1.jpg"], r"in train/ \['c'\], only in val/ \['d'\]"),
        ([*BOTH, "val/c/1.jpg", "train/c/x.txt"], r"only in val/ \['c'\]. Expected the same"),
        ([*BOTH, "train/c/x.txt"], r"Class folders without a picture in .*train: \['c'\]"),
        (["cats/1.jpg", "dogs/1.jpg", "birds/x.txt"], r"without a picture in .*: \['birds'\]"),
        (["a/1.jpg", "b/1.jpg", "a.2.jpg"], r"mixes pictures and class folders: a\.2\.jpg beside"),
        (["1.jpg", "2.jpg", "3.jpg", "4.jpg", "cat.5.jpg"], r"4 files have no .*, 3\.jpg, \.\.\."),
    ],
)
def test_a_folder_of_another_layout_is_refused_with_what_was_found(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        list_pictures(touch(tmp_path, *files))


def test_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    def refuse(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return iter(())

    monkeypatch.setattr(os, "walk", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        list_pictures(touch(tmp_path, "cats/1.jpg", "dogs/1.jpg"))
