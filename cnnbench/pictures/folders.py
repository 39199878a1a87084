"""What counts as a picture file, and how folders are walked for them."""

import os
from collections.abc import Iterator
from pathlib import Path

# fmt: off
PICTURE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm",
    ".ppm", ".tif", ".tiff", ".webp",
})
# fmt: on


def visible_entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """List a folder without what is hidden and without files that are no pictures.

    Args:
        folder: The folder.

    Returns:
        Its subfolders and its pictures, each sorted by name.
    """
    entries = sorted(entry for entry in folder.iterdir() if not _is_hidden(entry.name))
    folders = [entry for entry in entries if entry.is_dir()]
    return folders, [entry for entry in entries if entry not in folders and _is_picture(entry)]


def walk_pictures(folder: Path) -> Iterator[Path]:
    """Find the pictures of a folder and of its subfolders, but not through links inside it.

    Args:
        folder: The folder.

    Returns:
        The pictures, in the order of the file system.

    Raises:
        OSError: A subfolder cannot be listed.
    """
    # By default os.walk passes over what it cannot list, and pictures would go missing unseen.
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        paths = (Path(parent, name) for name in files if not _is_hidden(name))
        yield from (path for path in paths if _is_picture(path))


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    # macOS puts a `._cat.jpg` beside each picture, and `__MACOSX` into archives.
    return name.startswith(".") or name == "__MACOSX"


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES
