"""The drawn data set: what stands where, under which label, and always the same."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnbench.pictures import drawn_set as module
from cnnbench.pictures.drawn_set import DrawnSet, draw_picture, drawn_set_directory, write_drawn_set

TINY = DrawnSet(train_per_class=3, validation_per_class=2, size=16)
MISLABELLED = DrawnSet(train_per_class=10, validation_per_class=5, wrong_label_share=0.2, size=16)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def description(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "drawn.json").read_text(encoding="utf-8"))
    return read


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(contents(folder).values())).hexdigest()


def mean_colours(kind: module.Kind, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    pictures = (
        draw_picture(kind, np.random.default_rng([kind == "dog", i]), 32) for i in range(count)
    )
    return np.array([np.asarray(picture).mean(axis=(0, 1)) for picture in pictures])


def test_the_folders_are_split_then_class(tmp_path: Path) -> None:
    assert list(contents(write_drawn_set(tmp_path / "set", TINY))) == [
        "drawn.json",
        "train/cats/0000.png",
        "train/cats/0001.png",
        "train/cats/0002.png",
        "train/dogs/0000.png",
        "train/dogs/0001.png",
        "train/dogs/0002.png",
        "validation/cats/0000.png",
        "validation/cats/0001.png",
        "validation/dogs/0000.png",
        "validation/dogs/0001.png",
    ]


def test_pictures_are_rgb_of_the_size_asked_for(tmp_path: Path) -> None:
    write_drawn_set(tmp_path, replace(TINY, size=24))
    with Image.open(tmp_path / "train/cats/0000.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (24, 24))


def test_the_same_seed_draws_the_same_bytes(tmp_path: Path) -> None:
    first = write_drawn_set(tmp_path / "first", TINY)
    assert contents(first) == contents(write_drawn_set(tmp_path / "second", TINY))


def test_another_process_draws_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cnnbench.pictures.drawn_set import *; "
        "write_drawn_set(Path(sys.argv[1]), DrawnSet(3, 2, size=16))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "other")], check=True)
    assert digest(tmp_path / "other") == digest(write_drawn_set(tmp_path / "here", TINY))


def test_another_seed_draws_other_bytes(tmp_path: Path) -> None:
    first = contents(write_drawn_set(tmp_path / "first", TINY))
    second = contents(write_drawn_set(tmp_path / "second", replace(TINY, seed=1)))
    assert not [name for name in first if first[name] == second[name]]


def test_a_picture_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    few = contents(write_drawn_set(tmp_path / "few", replace(MISLABELLED, train_per_class=4)))
    many = contents(write_drawn_set(tmp_path / "many", MISLABELLED))
    del few["drawn.json"]
    assert few.items() <= many.items()


def test_no_two_pictures_are_equal(tmp_path: Path) -> None:
    files = contents(write_drawn_set(tmp_path, MISLABELLED))
    assert len(set(files.values())) == len(files)


@pytest.mark.parametrize(
    ("count", "share", "wrong"),
    [(20, 0.05, 1), (10, 0.2, 2), (7, 0.5, 4), (9, 0.0, 0), (1, 0.4, 0)],
)
def test_each_folder_holds_an_exact_number_of_wrong_labels(
    tmp_path: Path, count: int, share: float, wrong: int
) -> None:
    write_drawn_set(tmp_path, DrawnSet(count, count, wrong_label_share=share, size=16))
    listed = [str(Path(name).parent) for name in description(tmp_path)["wrong_labels"]]
    folders = ("train/cats", "train/dogs", "validation/cats", "validation/dogs")
    assert [listed.count(folder) for folder in folders] == [wrong] * 4


def test_a_wrong_label_is_a_picture_of_the_other_animal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shades = {"cat": 10, "dog": 20}
    monkeypatch.setattr(
        module,
        "draw_picture",
        lambda kind, rng, size: Image.new("RGB", (1, 1), (shades[kind],) * 3),
    )
    write_drawn_set(tmp_path, MISLABELLED)
    for path in tmp_path.rglob("*.png"):
        name = path.relative_to(tmp_path).as_posix()
        shown = "cat" if Image.open(path).getpixel((0, 0)) == (10, 10, 10) else "dog"
        assert (f"{shown}s" != path.parent.name) == (name in description(tmp_path)["wrong_labels"])


def test_the_description_states_what_was_drawn(tmp_path: Path) -> None:
    write_drawn_set(tmp_path, MISLABELLED)
    stated = description(tmp_path)
    assert {name: stated[name] for name in stated if not name.endswith("version")} == {
        "train_per_class": 10,
        "validation_per_class": 5,
        "seed": 0,
        "wrong_label_share": 0.2,
        "size": 16,
        "ceiling": 0.8,
        "wrong_labels": stated["wrong_labels"],
    }


def test_the_ceiling_is_one_minus_the_share_by_default() -> None:
    assert DrawnSet().ceiling == 1 - DrawnSet().wrong_label_share


def test_the_ceiling_counts_whole_pictures() -> None:
    assert DrawnSet(validation_per_class=10, wrong_label_share=0.17).ceiling == 0.8


def test_a_folder_in_use_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileExistsError, match=r"must be an empty folder; Received: target=.+"):
        write_drawn_set(tmp_path, TINY)


def test_the_second_call_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawn_set_directory(tmp_path / "cache", TINY)
    monkeypatch.delattr(module, "draw_picture")
    assert drawn_set_directory(tmp_path / "cache", TINY) == first


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 17}, {"wrong_label_share": 0.1}])
def test_another_set_has_another_folder(tmp_path: Path, change: dict[str, Any]) -> None:
    assert drawn_set_directory(tmp_path, TINY) != drawn_set_directory(
        tmp_path, replace(TINY, **change)
    )


def test_another_version_of_the_drawing_has_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn_set_directory(tmp_path, TINY)
    monkeypatch.setattr(module, "DRAWING_VERSION", -1)
    assert drawn_set_directory(tmp_path, TINY) != before


def test_another_version_of_pillow_has_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = drawn_set_directory(tmp_path, TINY)
    monkeypatch.setattr("PIL.__version__", "0.0")
    assert drawn_set_directory(tmp_path, TINY) != before


def test_a_folder_that_lost_a_part_is_drawn_again(tmp_path: Path) -> None:
    folder = drawn_set_directory(tmp_path, TINY)
    whole = contents(folder)
    (folder / "drawn.json").unlink()
    (folder / "train/cats/0000.png").unlink()
    assert contents(drawn_set_directory(tmp_path, TINY)) == whole


def test_a_drawing_that_stops_halfway_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "draw_picture", stop)
    with pytest.raises(KeyboardInterrupt):
        drawn_set_directory(tmp_path, TINY)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_not_taken_for_a_set(tmp_path: Path) -> None:
    write_drawn_set(tmp_path / "elsewhere", TINY)
    left = tmp_path / "cache" / ".drawing-killed" / "set" / "train" / "cats"
    left.mkdir(parents=True)
    (left / "0000.png").touch()
    assert contents(drawn_set_directory(tmp_path / "cache", TINY)) == contents(
        tmp_path / "elsewhere"
    )


def test_a_set_finished_meanwhile_by_another_process_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = drawn_set_directory(tmp_path / "other", TINY)
    draw = module.write_drawn_set

    def overtaken(target: Path, drawn: DrawnSet) -> Path:
        written = draw(target, drawn)
        draw(tmp_path / "cache" / finished.name, drawn)
        return written

    monkeypatch.setattr(module, "write_drawn_set", overtaken)
    assert contents(drawn_set_directory(tmp_path / "cache", TINY)) == contents(finished)


def test_colour_alone_does_not_tell_the_animal() -> None:
    cats, dogs = mean_colours("cat", 200), mean_colours("dog", 200)
    # A line through the means of the first half, judged on the second.
    middle = (cats[:100].mean(axis=0) + dogs[:100].mean(axis=0)) / 2
    way = dogs[:100].mean(axis=0) - cats[:100].mean(axis=0)
    right = ((dogs[100:] - middle) @ way > 0).sum() + ((cats[100:] - middle) @ way < 0).sum()
    # 200 tosses of a coin stay within 0.5 ± 0.1 in 99.5 of 100 cases.
    assert abs(right / 200 - 0.5) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_per_class": 0}, "must be at least 1; Received: train_per_class=0"),
        ({"validation_per_class": 0}, "must be at least 1; Received: validation_per_class=0"),
        ({"seed": -1}, "must be at least 0; Received: seed=-1"),
        ({"size": 15}, "must be at least 16; Received: size=15"),
        ({"wrong_label_share": -0.1}, "must be from 0 to 0.5; Received: wrong_label_share=-0.1"),
        ({"wrong_label_share": 0.6}, "must be from 0 to 0.5; Received: wrong_label_share=0.6"),
        ({"size": 1, "seed": -2}, r"(?s)seed=-2.+size=1"),
    ],
)
def test_a_value_out_of_range_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_an_unknown_animal_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of .+cat.+dog.+; Received: kind='cow'"):
        draw_picture("cow", np.random.default_rng(0), 16)  # type: ignore[arg-type]


def test_a_picture_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 16; Received: size=15"):
        draw_picture("cat", np.random.default_rng(0), 15)
