"""Find the pictures of an image folder and their classes.

Only names are looked at here: whether a file holds a picture shows when it is decoded. Three
layouts are understood, and each problem is an error that says which of them was expected:

- `root/train/<class>/*.jpg` and `root/validation/<class>/*.jpg`;
- `root/<class>/*.jpg`, still to be split;
- flat names, `cat.17.jpg`, in the root or inside `train/` and `validation/`.
"""

from dataclasses import dataclass
from pathlib import Path

from cnnbench.pictures.folders import PICTURE_SUFFIXES, visible_entries, walk_pictures

TRAIN_NAMES = ("train", "training", "training_set")
# A test set is used for validation only if there is no validation set.
VALIDATION_NAMES = (("validation", "valid", "val"), ("test", "testing", "test_set"))
_LAYOUTS = (
    "Expected train/<class>/*.jpg and validation/<class>/*.jpg, or <class>/*.jpg, or files "
    "named like cat.17.jpg."
)

# The pictures of each class, before classes have become labels.
_ByClass = dict[str, list[Path]]


@dataclass(frozen=True)
class Picture:
    """One picture file.

    Args:
        path: Where the file is.
        name: POSIX path relative to the root of the listing; identifies the picture in reports.
        label: Position of its class in `Listing.classes`.
    """

    path: Path
    name: str
    label: int


@dataclass(frozen=True)
class Listing:
    """The pictures of an image folder, sorted by name.

    Args:
        root: The folder.
        classes: Class names, sorted; the position is the label.
        train: Pictures to train on, or all pictures where `validation` is `None`.
        validation: Held-out pictures, or `None` where the folder doesn't say which those are.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    validation: tuple[Picture, ...] | None


def list_pictures(root: Path) -> Listing:
    """List the pictures of an image folder.

    Hidden files, `__MACOSX` and files without a picture's extension are passed over. Class
    folders are walked recursively, but not through links inside them.

    Args:
        root: The image folder.

    Returns:
        The pictures with their labels, independent of the order the file system lists them in.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: `root` is not a folder.
        ValueError: The folder has none of the layouts, or fewer than two classes with pictures.
    """
    if not root.exists():
        raise FileNotFoundError(f"The image folder does not exist. {_LAYOUTS} Received: {root=!s}")
    if not root.is_dir():
        raise NotADirectoryError(
            f"The image folder is a file. Expected a folder; unpack it if it is an archive. "
            f"{_LAYOUTS} Received: {root=!s}"
        )
    train_folder, validation_folder = _parts(root)
    if train_folder is None or validation_folder is None:
        train = _read_part(root, root)
        _check_part(train, root, root)
        return Listing(root, tuple(sorted(train)), _label(train, root), None)
    train, validation = _read_part(train_folder, root), _read_part(validation_folder, root)
    # First, as a class that is missing on one side is best reported with what is on the other.
    in_train, in_validation = ({n for n, paths in p.items() if paths} for p in (train, validation))
    if in_train != in_validation:
        raise ValueError(
            f"The classes of {validation_folder.name}/ differ from those of {train_folder.name}/: "
            f"only in {train_folder.name}/ {sorted(in_train - in_validation)}, only in "
            f"{validation_folder.name}/ {sorted(in_validation - in_train)}. Expected pictures of "
            f"the same classes in both; rename or fill the folders. Received: {root=!s}"
        )
    _check_part(train, train_folder, root)
    _check_part(validation, validation_folder, root)
    return Listing(root, tuple(sorted(train)), _label(train, root), _label(validation, root))


def _parts(root: Path) -> tuple[Path | None, Path | None]:
    """Return the folders of the training and of the held-out pictures, or twice `None`."""
    folders, files = visible_entries(root)
    train = _only_one([f for f in folders if f.name.lower() in TRAIN_NAMES], root)
    validation = None
    for names in VALIDATION_NAMES:
        validation = validation or _only_one([f for f in folders if f.name.lower() in names], root)
    if (train is None) != (validation is None):
        found, lacking = (train, "validation") if train else (validation, "train")
        assert found is not None
        raise ValueError(
            f"The image folder has {found.name}/ but no {lacking}/. Expected both or neither: add "
            f"{lacking}/, or put the class folders directly into the image folder to have them "
            f"split (no class can be called {found.name!r}). Received: {root=!s}"
        )
    if train and files:
        raise ValueError(
            f"The image folder has pictures beside train and validation folders: {_few(files)}. "
            f"Move them into a class folder, or delete them. Received: {root=!s}"
        )
    return train, validation


def _only_one(folders: list[Path], root: Path) -> Path | None:
    if len(folders) > 1:
        raise ValueError(
            f"The image folder has several folders for the same pictures: {_few(folders)}. "
            f"Expected one of them; rename or merge the others. Received: {root=!s}"
        )
    return folders[0] if folders else None


def _read_part(part: Path, root: Path) -> _ByClass:
    """Return the pictures of each class below one folder, of which there is at least one."""
    folders, flat = visible_entries(part)
    by_class = {folder.name: list(walk_pictures(folder)) for folder in folders}
    nested = [paths[0] for paths in by_class.values() if paths]
    if flat and nested:
        raise ValueError(
            f"The folder {part.name}/ mixes pictures and class folders: {_few(flat)} beside "
            f"{_few([path.parent for path in nested])}. Expected one or the other; move the "
            f"pictures into class folders. Received: {root=!s}"
        )
    if not flat and not nested:
        raise ValueError(f"There are no pictures in {part}. {_LAYOUTS} Received: {root=!s}")
    return _by_name(flat, root) if flat else by_class


def _check_part(by_class: _ByClass, part: Path, root: Path) -> None:
    if empty := sorted(name for name, paths in by_class.items() if not paths):
        raise ValueError(
            f"Class folders without a picture in {part}: {empty}. Expected files with one of the "
            f"extensions {sorted(PICTURE_SUFFIXES)}; add pictures, or delete the folders. "
            f"Received: {root=!s}"
        )
    if len(by_class) < 2:
        raise ValueError(
            f"There is only one class in {part}: {next(iter(by_class))!r}. Expected at least two. "
            f"{_LAYOUTS} Is the image folder one level above or below? Received: {root=!s}"
        )


def _by_name(flat: list[Path], root: Path) -> _ByClass:
    by_class: _ByClass = {}
    for path in sorted(flat):
        by_class.setdefault(path.name.split(".", 1)[0], []).append(path)
    if nameless := [path for path in sorted(flat) if path.name.count(".") < 2]:
        raise ValueError(
            f"{len(nameless)} files have no class in their name: {_few(nameless)}. Expected names "
            f"like cat.17.jpg, or a folder for each class. Received: {root=!s}"
        )
    return by_class


def _label(by_class: _ByClass, root: Path) -> tuple[Picture, ...]:
    pictures = [
        Picture(path, path.relative_to(root).as_posix(), label)
        for label, name in enumerate(sorted(by_class))
        for path in by_class[name]
    ]
    return tuple(sorted(pictures, key=lambda picture: picture.name))


def _few(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
