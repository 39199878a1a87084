"""Keep decoded pixels on disk, found by what the files hold and not by what they are called.

Renaming, relabelling or splitting a folder otherwise finds the same entry; another size, another
decoder or a changed picture makes a new one. An entry is one `.npy` file, so that all worker
processes share the memory that it is mapped into.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cnnbench.pictures.decode import Pixels, explain, open_picture
from cnnbench.pictures.decode_all import (
    LOADER_ID,
    Problem,
    check_size,
    damaged_pictures,
    decode_each,
)


@dataclass(frozen=True, eq=False)
class CachedPixels:
    """Where the decoded pixels of some files are.

    Args:
        digests: SHA-256 of each file's content.
        rows: Row of `pixels` that belongs to each file, of shape `(files,)`.
        path: The cache entry, a `.npy` file.
        pixels: The entry, mapped read-only, of shape `(different contents, height, width, 3)`.
    """

    digests: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    path: Path
    pixels: Pixels


def default_cache_directory() -> Path:
    """Return the folder that decoded pixels are kept in if no other is named.

    Returns:
        The environment's `CNNBENCH_CACHE_DIR`, or the user's cache folder for cnnbench.
    """
    if named := os.environ.get("CNNBENCH_CACHE_DIR"):
        return Path(named)
    import platformdirs  # Not needed, and slower than all the rest, where the folder is named.

    return platformdirs.user_cache_path("cnnbench")


def load_pixels(
    paths: Sequence[Path],
    size: tuple[int, int],
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> CachedPixels:
    """Return the decoded pixels of picture files; decode them if the cache doesn't have them.

    Args:
        paths: Picture files, at least one. Equal contents share a row of the pixels.
        size: `(height, width)` that pictures are resized to.
        cache: Folder of the cache; made if it doesn't exist.
        progress: Called with the number of pictures decoded and to decode, after each.

    Returns:
        The pixels and, for each path, its digest and its row.

    Raises:
        ValueError: `size` is not two positive numbers, there are no paths, or some files are not
            one whole picture; names the first ten and the number of the others.
    """
    check_size(size)
    if not paths:
        raise ValueError("Expected at least one picture file. Received: paths=[]")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(_try_hash, paths))
    of_digest: dict[str, list[Path]] = {}
    problems: dict[str, Problem] = {}
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Problem):
            problems[str(path)] = result
        else:
            of_digest.setdefault(result, []).append(path)
    unique = sorted(of_digest)
    shape = (len(unique), *size, 3)
    key = hashlib.sha256(json.dumps([LOADER_ID, list(size), unique]).encode()).hexdigest()
    entry = cache.absolute() / f"{key}.npy"
    pixels = None if problems else _open_entry(entry, shape)
    if pixels is None:
        # After an unreadable file the others are still decoded, to name all problems at once.
        equal_files = [of_digest[digest] for digest in unique]
        _build_entry(entry, size, equal_files, problems, len(paths), progress)
        pixels = _open_entry(entry, shape)
    if pixels is None:
        raise OSError(f"The cache entry was damaged as soon as written. Received: {entry=!s}")
    digests = tuple(result for result in results if isinstance(result, str))
    row_of = {digest: row for row, digest in enumerate(unique)}
    rows = np.array([row_of[digest] for digest in digests], np.int64)
    return CachedPixels(digests, rows, entry, pixels)


def _try_hash(path: Path) -> str | Problem:
    try:
        with open_picture(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Problem(explain(error))


def _open_entry(entry: Path, shape: tuple[int, ...]) -> Pixels | None:
    """Return the entry, or `None` where there is none or it is damaged."""
    try:
        pixels: Pixels = np.lib.format.open_memmap(entry, mode="r")
    except Exception:  # NumPy raises anything at all on damaged content.
        return None
    whole = pixels.shape == shape and pixels.dtype == np.uint8
    return pixels if whole and pixels.flags.c_contiguous else None


def _build_entry(
    entry: Path,
    size: tuple[int, int],
    equal_files: list[list[Path]],
    problems: dict[str, Problem],
    total: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Decode the first of each group of equal files into the entry, or name all problems."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    # Its name is nobody else's: two processes may build one entry at once, and the last one wins.
    unfinished = entry.with_name(f"{entry.stem}.{uuid.uuid4().hex}.unfinished")
    try:
        with unfinished.open("xb") as file:
            found = _write(file, size, [paths[0] for paths in equal_files], progress)
            for position, problem in found.items():
                problems |= {str(path): problem for path in equal_files[position]}
            if problems:
                raise damaged_pictures(problems, total)
            file.flush()
            # Renaming before the content is on the disk can leave an empty entry after a crash.
            os.fsync(file.fileno())
        unfinished.replace(entry)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(
    file: BinaryIO,
    size: tuple[int, int],
    paths: list[Path],
    progress: Callable[[int, int], None] | None,
) -> dict[int, Problem]:
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), *size, 3)}
    np.lib.format.write_array_header_1_0(file, header)
    # Written rather than mapped: on a full disk a write is an error, a mapping kills the process.
    return decode_each(
        paths, size, lambda _, pixels: file.write(pixels.tobytes()), progress=progress
    )
