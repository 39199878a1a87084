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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnbench.pictures.decode import (
    LOADER_ID,
    Pixels,
    Problem,
    damaged_pictures,
    decode_each,
    open_picture,
)

Progress = Callable[[int, int], None]


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
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(paths, pool.map(_try_hash, paths), strict=True))
    problems = {path: found for path, found in results.items() if isinstance(found, Problem)}
    digests = {path: found for path, found in results.items() if path not in problems}
    first = {digest: path for path, digest in reversed(digests.items())}
    unique = sorted(first)
    shape = (len(unique), *size, 3)
    key = hashlib.sha256(json.dumps([LOADER_ID, list(size), unique]).encode()).hexdigest()
    entry = cache.absolute() / f"{key}.npy"
    pixels = None if problems else _open_entry(entry, shape)
    if pixels is None:
        # After an unreadable file the others are still decoded, to name all problems at once.
        cache.mkdir(parents=True, exist_ok=True)
        # A name of its own: two processes may build one entry at once, and the last one wins.
        unfinished = entry.with_name(f"{entry.stem}.{uuid.uuid4().hex}.unfinished")
        try:
            found = _decode_into(unfinished, [first[digest] for digest in unique], size, progress)
            damaged = {unique[position]: problem for position, problem in found.items()}
            problems |= {p: damaged[digest] for p, digest in digests.items() if digest in damaged}
            if problems:
                raise damaged_pictures({str(p): why for p, why in problems.items()}, len(paths))
            unfinished.replace(entry)
        finally:
            unfinished.unlink(missing_ok=True)
        pixels = _open_entry(entry, shape)
    if pixels is None:
        raise OSError(f"The cache entry was damaged as soon as written. Received: {entry=!s}")
    row_of = {digest: row for row, digest in enumerate(unique)}
    return CachedPixels(entry, pixels, digests, {p: row_of[d] for p, d in digests.items()})


def _try_hash(path: Path) -> str | Problem:
    try:
        with open_picture(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Problem.of(error)


def _open_entry(entry: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Returns the entry, or `None` if there is none or it is damaged."""
    try:
        pixels: Pixels = np.lib.format.open_memmap(entry, mode="r")
    except Exception:  # NumPy raises anything at all on damaged content.
        return None
    whole = pixels.shape == shape and pixels.dtype == np.uint8
    return pixels if whole and pixels.flags.c_contiguous else None


def _decode_into(
    target: Path, paths: Sequence[Path], size: tuple[int, int], progress: Progress | None
) -> dict[int, Problem]:
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), *size, 3)}
    with target.open("xb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        # Written rather than mapped: on a full disk a write is an error, a mapping kills the
        # process.
        problems = decode_each(paths, size, lambda _, one: file.write(one.tobytes()), progress)
        file.flush()
        # Renaming before the content is on the disk can leave an empty entry after a crash.
        os.fsync(file.fileno())
    return problems
