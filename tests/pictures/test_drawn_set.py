"""The drawn data set: what is where, under which label, and always the same."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cnnbench.pictures import drawn_set as module
from cnnbench.pictures.drawn_set import DrawnSet, draw_picture, drawn_set_directory, write_drawn_set

TINY = DrawnSet(train_per_class=3, validation_per_class=2, size=16)
MISLABELLED = DrawnSet(train_per_class=10, validation_per_class=5, wrong_label_share=0.2, size=16)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def wrong_labels(folder):
    return json.loads((folder / "drawn.json").read_text(encoding="utf-8"))["wrong_labels"]


def test_the_folders_are_split_then_class(tmp_path):
    assert list(contents(write_drawn_set(tmp_path / "set", TINY))) == [
        "drawn.json",
        *(f"train/{name}/000{number}.png" for name in ("cats", "dogs") for number in range(3)),
        *(f"validation/{name}/000{number}.png" for name in ("cats", "dogs") for number in range(2)),
    ]
    with Image.open(tmp_path / "set/train/cats/0000.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (16, 16))


def test_another_process_draws_the_same_bytes(tmp_path):
    program = (
        "import sys; from pathlib import Path; from cnnbench.pictures.drawn_set import *; "
        "write_drawn_set(Path(sys.argv[1]), DrawnSet(3, 2, size=16))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "other")], check=True)
    assert contents(tmp_path / "other") == contents(write_drawn_set(tmp_path / "here", TINY))


def test_a_picture_does_not_depend_on_how_many_are_drawn(tmp_path):
    few = contents(write_drawn_set(tmp_path / "few", replace(MISLABELLED, train_per_class=4)))
    many = contents(write_drawn_set(tmp_path / "many", MISLABELLED))
    del few["drawn.json"]
    assert few.items() <= many.items()
    assert len(set(many.values())) == len(many)


@pytest.mark.parametrize(
    ("count", "share", "wrong"),
    [(20, 0.05, 1), (10, 0.2, 2), (7, 0.5, 4), (9, 0.0, 0), (1, 0.4, 0)],
)
def test_each_folder_holds_an_exact_number_of_wrong_labels(tmp_path, count, share, wrong):
    write_drawn_set(tmp_path, DrawnSet(count, count, wrong_label_share=share, size=16))
    listed = [name.rpartition("/")[0] for name in wrong_labels(tmp_path)]
    folders = ("train/cats", "train/dogs", "validation/cats", "validation/dogs")
    assert [listed.count(folder) for folder in folders] == [wrong] * 4


def test_a_wrong_label_is_a_picture_of_the_other_animal(tmp_path, monkeypatch):
    shades = {"cat": 10, "dog": 20}
    monkeypatch.setattr(
        module, "draw_picture", lambda kind, rng, size: Image.new("L", (1, 1), shades[kind])
    )
    write_drawn_set(tmp_path, MISLABELLED)
    for path in tmp_path.rglob("*.png"):
        shown = "cats" if Image.open(path).getpixel((0, 0)) == 10 else "dogs"
        name = path.relative_to(tmp_path).as_posix()
        assert (shown != path.parent.name) == (name in wrong_labels(tmp_path))


def test_the_second_call_draws_nothing(tmp_path, monkeypatch):
    first = drawn_set_directory(tmp_path / "cache", TINY)
    monkeypatch.delattr(module, "draw_picture")
    assert drawn_set_directory(tmp_path / "cache", TINY) == first


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 17}])
def test_another_set_has_another_folder_and_other_pictures(tmp_path, change):
    folders = [drawn_set_directory(tmp_path, drawn) for drawn in (TINY, replace(TINY, **change))]
    assert folders[0] != folders[1]
    first, second = map(contents, folders)
    assert not [name for name in first if first[name] == second[name]]


@pytest.mark.parametrize("version", [f"{module.__name__}.DRAWING_VERSION", "PIL.__version__"])
def test_another_drawing_or_pillow_has_another_folder(tmp_path, monkeypatch, version):
    before = drawn_set_directory(tmp_path, TINY)
    monkeypatch.setattr(version, "0.0")
    assert drawn_set_directory(tmp_path, TINY) != before


def test_a_folder_that_lost_a_part_is_drawn_again(tmp_path):
    folder = drawn_set_directory(tmp_path, TINY)
    whole = contents(folder)
    (folder / "drawn.json").unlink()
    (folder / "train/cats/0000.png").unlink()
    assert contents(drawn_set_directory(tmp_path, TINY)) == whole


def test_a_drawing_that_stops_halfway_leaves_no_folder(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "draw_picture", stop)
    with pytest.raises(KeyboardInterrupt):
        drawn_set_directory(tmp_path, TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_another_process_finished_meanwhile_is_used(tmp_path, monkeypatch):
    finished = drawn_set_directory(tmp_path / "other", TINY)

    def overtaken(kind, rng, size):
        shutil.copytree(finished, tmp_path / "cache" / finished.name, dirs_exist_ok=True)
        return Image.new("L", (1, 1))

    monkeypatch.setattr(module, "draw_picture", overtaken)
    assert contents(drawn_set_directory(tmp_path / "cache", TINY)) == contents(finished)


@pytest.mark.parametrize(
    ("kind", "brightness"),
    [
        ("cat", [149.0, 118.16, 139.97, 69.21, 146.15, 146.11, 182.26, 92.52]),
        ("dog", [145.56, 127.64, 108.52, 70.95, 141.0, 144.41, 179.03, 106.44]),
    ],
)
def test_a_drawing_changes_only_with_its_version(kind, brightness):
    drawn = [draw_picture(kind, np.random.default_rng(seed), 32) for seed in range(8)]
    assert [np.asarray(picture).mean() for picture in drawn] == pytest.approx(brightness, abs=0.05)
    assert module.DRAWING_VERSION == 1
