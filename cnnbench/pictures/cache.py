"""Decoded pixels on disk, found by the content of the files and not by their names.

Renaming, relabelling or splitting a folder otherwise finds the same entry; another size, another
decoder or a changed picture makes a new one. An entry is one `.npy` file, so that all worker
processes share the memory that it is mapped into.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnbench.pictures.decode import (
    LOADER_ID,
    Pixels,
    Progress,
    decode_pictures,
    each_in_threads,
    open_picture,
)


@dataclass(frozen=True, eq=False)
class CachedPixels:
    """Where the decoded pixels of some files are.

    Args:
        path: the cache entry, a `.npy` file.
        pixels: the entry, mapped read-only, `(different contents, height, width, 3)`.
        digests: SHA-256 of each file's content.
        rows: row of `pixels` that belongs to each file.
    """

    path: Path
    pixels: Pixels
    digests: dict[Path, str]
    rows: dict[Path, int]


def default_cache_directory() -> Path:
    """Returns `CNNBENCH_CACHE_DIR`, or the user's cache folder for cnnbench."""
    if named := os.environ.get("CNNBENCH_CACHE_DIR"):
        return Path(named)
    import platformdirs  # not needed, and slower than all the rest, where the folder is named

    return platformdirs.user_cache_path("cnnbench")


def load_pixels(
    paths: Sequence[Path], size: tuple[int, int], cache: Path, progress: Progress | None = None
) -> CachedPixels:
    """Returns the decoded pixels of picture files, decoding them if the cache doesn't have them.

    Args:
        paths: picture files. Equal contents share a row of the pixels.
        size: `(height, width)` that pictures are resized to.
        cache: folder of the cache; made if it doesn't exist.
        progress: called with the number of pictures decoded and to decode, after each.

    Raises:
        ValueError: if some files are not one whole picture; names the first ten.
    """
    digests = dict(zip(paths, each_in_threads(_digest, paths, paths), strict=True))
    first = {digest: path for path, digest in reversed(digests.items())}
    unique = sorted(first)
    key = hashlib.sha256(json.dumps([LOADER_ID, list(size), unique]).encode()).hexdigest()
    entry = cache.absolute() / f"{key}.npy"
    shape = (len(unique), *size, 3)
    pixels = _open_entry(entry, shape)
    if pixels is None:
        _write_entry(entry, decode_pictures([first[digest] for digest in unique], size, progress))
        pixels = _open_entry(entry, shape)
    if pixels is None:
        raise OSError(f"The cache entry was damaged as soon as written. Received: {entry=!s}")
    row_of = {digest: row for row, digest in enumerate(unique)}
    rows = {path: row_of[digest] for path, digest in digests.items()}
    return CachedPixels(entry, pixels, digests, rows)


def _digest(path: Path) -> str:
    with open_picture(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_entry(entry: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Returns the entry, or `None` if there is none or it is damaged."""
    try:
        pixels: Pixels = np.lib.format.open_memmap(entry, mode="r")
    except Exception:  # NumPy raises anything at all on damaged content.
        return None
    whole = pixels.shape == shape and pixels.dtype == np.uint8
    return pixels if whole and pixels.flags.c_contiguous else None


def _write_entry(entry: Path, pixels: Pixels) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: two processes may build one entry at once, and the last one wins.
    unfinished = entry.with_name(f"{entry.stem}.{uuid.uuid4().hex}.unfinished")
    try:
        with unfinished.open("xb") as file:
            np.save(file, pixels)
            file.flush()
            # Renaming before the content is on the disk can leave an empty entry after a crash.
            os.fsync(file.fileno())
        unfinished.replace(entry)
    finally:
        unfinished.unlink(missing_ok=True)
