"""The pictures of a folder and their classes.

Only names are looked at here: whether a file holds a picture shows when it is decoded. Three
layouts are understood, and each problem is an error that says which of them was expected:

- `root/train/<class>/*.jpg` and `root/validation/<class>/*.jpg`;
- `root/<class>/*.jpg`, still to be split;
- flat names, `cat.17.jpg`, in the root or inside `train/` and `validation/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_JPEG_SUFFIXES = {".jfif", ".jpe", ".jpeg", ".jpg"}
_NETPBM_SUFFIXES = {".pbm", ".pgm", ".pnm", ".ppm"}
_OTHER_SUFFIXES = {".avif", ".bmp", ".gif", ".png", ".tif", ".tiff", ".webp"}
PICTURE_SUFFIXES = _JPEG_SUFFIXES | _NETPBM_SUFFIXES | _OTHER_SUFFIXES
TRAIN_NAMES = ("train", "training", "training_set")
VALIDATION_NAMES = ("validation", "valid", "val")
TEST_NAMES = ("test", "testing", "test_set")
_LAYOUTS = (
    "Expected train/<class>/*.jpg and validation/<class>/*.jpg, or <class>/*.jpg, or files "
    "named like cat.17.jpg."
)

_ByClass = dict[str, list[Path]]  # the pictures of each class, before classes have become labels


@dataclass(frozen=True, order=True)
class Picture:
    """One picture file; its name, relative to the root, identifies it in reports."""

    name: str
    path: Path
    label: int


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, sorted by name; the position of a class is its label.

    `validation` is `None` where the folder doesn't say what is held out; `train` is then all.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    validation: tuple[Picture, ...] | None


def list_pictures(root: Path) -> Listing:
    """Lists the pictures of a folder, in an order that the file system has no part in.

    Hidden files, `__MACOSX` and files without a picture's extension are ignored. Class
    folders are walked recursively, but not through links inside them.
    """
    if not root.exists():
        raise FileNotFoundError(
            f"The folder of pictures does not exist. {_LAYOUTS} Received: {root=!s}"
        )
    if not root.is_dir():
        raise NotADirectoryError(
            f"Expected a folder of pictures, not a file; unpack it if it is an archive. "
            f"{_LAYOUTS} Received: {root=!s}"
        )
    sides = {part: _by_class(part, root) for part in _parts(root)}
    classes = _classes(sides, root)
    train, *held_out = (
        sorted(
            Picture(path.relative_to(root).as_posix(), path, classes.index(name))
            for name, paths in side.items()
            for path in paths
        )
        for side in sides.values()
    )
    return Listing(root, classes, tuple(train), tuple(held_out[0]) if held_out else None)


def walk_pictures(folder: Path) -> Iterator[Path]:
    """Yields the pictures of a folder and of its subfolders, but not through links inside it."""
    # By default os.walk skips what it cannot list, and pictures would be missing unnoticed.
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield from (Path(parent, name) for name in files if _is_picture(name))


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    # macOS puts a `._cat.jpg` beside each picture, and `__MACOSX` into archives.
    return name.startswith(".") or name == "__MACOSX"


def _is_picture(name: str) -> bool:
    return not _is_hidden(name) and Path(name).suffix.lower() in PICTURE_SUFFIXES


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns a folder's subfolders and its pictures, each sorted by name."""
    entries = sorted(entry for entry in folder.iterdir() if not _is_hidden(entry.name))
    folders = [entry for entry in entries if entry.is_dir()]
    return folders, [path for path in entries if path not in folders and _is_picture(path.name)]


def _parts(root: Path) -> tuple[Path, ...]:
    """Returns the folders of the training and of the held-out pictures, or else the root."""
    folders, files = _visible(root)
    train = _only_one(folders, TRAIN_NAMES, root)
    # A test set is used for validation only if there is no validation set.
    validation = _only_one(folders, VALIDATION_NAMES, root) or _only_one(folders, TEST_NAMES, root)
    found = train or validation
    if found is None:
        return (root,)
    if train is None or validation is None:
        lacking = "train" if train is None else "validation"
        raise ValueError(
            f"The folder has {found.name}/ but no {lacking}/. Expected both or neither: add "
            f"{lacking}/, or put the class folders directly into the folder to have them "
            f"split (no class can be called {found.name!r}). Received: {root=!s}"
        )
    if files:
        raise ValueError(
            f"The folder has pictures beside train and validation folders: {_few(files)}. "
            f"Move them into a class folder, or delete them. Received: {root=!s}"
        )
    return train, validation


def _only_one(folders: list[Path], names: tuple[str, ...], root: Path) -> Path | None:
    found = [folder for folder in folders if folder.name.lower() in names]
    if len(found) > 1:
        raise ValueError(
            f"The folder has several folders for the same pictures: {_few(found)}. "
            f"Expected one of them; rename or merge the others. Received: {root=!s}"
        )
    return found[0] if found else None


def _by_class(part: Path, root: Path) -> _ByClass:
    """Returns the pictures of each class below one folder, of which there is at least one."""
    folders, flat = _visible(part)
    by_class = {folder.name: list(walk_pictures(folder)) for folder in folders}
    nested = [paths[0].parent for paths in by_class.values() if paths]
    if flat and nested:
        raise ValueError(
            f"The folder {part.name}/ mixes pictures and class folders: {_few(flat)} beside "
            f"{_few(nested)}. Expected one or the other; move the pictures into class folders. "
            f"Received: {root=!s}"
        )
    if not flat and not nested:
        raise ValueError(f"There are no pictures in {part}. {_LAYOUTS} Received: {root=!s}")
    if not flat:
        return by_class
    if nameless := [path for path in flat if path.name.count(".") < 2]:
        raise ValueError(
            f"{len(nameless)} files have no class in their name: {_few(nameless)}. Expected names "
            f"like cat.17.jpg, or a folder for each class. Received: {root=!s}"
        )
    by_name: _ByClass = {}
    for path in flat:
        by_name.setdefault(path.name.split(".", 1)[0], []).append(path)
    return by_name


def _classes(sides: dict[Path, _ByClass], root: Path) -> tuple[str, ...]:
    # First, as a class that is missing on one side is best reported with what is on the other.
    filled = {part: {name for name in side if side[name]} for part, side in sides.items()}
    common = set.intersection(*filled.values())
    if any(found != common for found in filled.values()):
        only = [f"only in {p.name}/ {sorted(found - common)}" for p, found in filled.items()]
        raise ValueError(
            f"The classes of training and held-out pictures differ: {', '.join(only)}. Expected "
            f"the same in both; rename or fill the folders. Received: {root=!s}"
        )
    for part, side in sides.items():
        if empty := sorted(side.keys() - common):
            raise ValueError(
                f"Class folders without a picture in {part}: {empty}. Expected files with one of "
                f"the extensions {sorted(PICTURE_SUFFIXES)}; add pictures, or delete the folders. "
                f"Received: {root=!s}"
            )
    if len(common) < 2:
        raise ValueError(
            f"There is only one class in {next(iter(sides))}: {min(common)!r}. Expected at least "
            f"two. {_LAYOUTS} Is the folder of pictures one level above or below? "
            f"Received: {root=!s}"
        )
    return tuple(sorted(common))


def _few(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
