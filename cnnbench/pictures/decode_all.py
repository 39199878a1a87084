"""Decode pictures in threads, and name every damaged one in a single error."""

import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ImageFile

from cnnbench.pictures.decode import LOADER_ID, Pixels, decode_file, explain, open_picture

__all__ = [
    "LOADER_ID",
    "Problem",
    "check_size",
    "damaged_pictures",
    "decode_each",
    "decode_picture",
    "decode_pictures",
]


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be used as a picture.

    Args:
        reason: The reason, without the file's name.
    """

    reason: str


def decode_picture(source: Path | bytes, size: tuple[int, int]) -> Pixels:
    """Decode one picture and resize it.

    Args:
        source: The picture file, or its content.
        size: `(height, width)` to resize to, with antialiasing and without keeping the aspect.

    Returns:
        The pixels, of shape `(height, width, 3)`.

    Raises:
        ValueError: `size` is not two positive numbers, or the source is not one whole picture.
        RuntimeError: Pillow has been set to let truncated pictures pass.
    """
    pixels: Pixels = decode_pictures([source], size, threads=1)[0]
    return pixels


def decode_pictures(
    sources: Sequence[Path | bytes], size: tuple[int, int], threads: int | None = None
) -> Pixels:
    """Decode pictures in threads.

    Args:
        sources: Picture files or their contents.
        size: `(height, width)` to resize to.
        threads: How many pictures to decode at once; as many as there are processors if `None`.

    Returns:
        The pixels, of shape `(len(sources), height, width, 3)`.

    Raises:
        ValueError: `size` is not two positive numbers, or some sources are not one whole picture;
            names the first ten and the number of the others.
        RuntimeError: Pillow has been set to let truncated pictures pass.
    """
    check_size(size)
    pixels = np.empty((len(sources), *size, 3), np.uint8)
    problems = decode_each(sources, size, pixels.__setitem__, threads=threads)
    if problems:
        named = {_name(sources[i], i): problem for i, problem in problems.items()}
        raise damaged_pictures(named, len(sources))
    return pixels


def decode_each(
    sources: Sequence[Path | bytes],
    size: tuple[int, int],
    consume: Callable[[int, Pixels], object],
    *,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, Problem]:
    """Decode pictures in threads and hand each of them on, in order, in the calling thread.

    Args:
        sources: Picture files or their contents.
        size: `(height, width)` to resize to.
        consume: Called with the position and the pixels, `(height, width, 3)`, of each picture.
        threads: How many pictures to decode at once; as many as there are processors if `None`.
        progress: Called with the number of pictures done and of all pictures, after each.

    Returns:
        The problem of each source that could not be decoded, by position.

    Raises:
        RuntimeError: Pillow has been set to let truncated pictures pass.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "Pillow has been set to fill what truncated pictures lack with grey. Expected its "
            "default; remove the line that sets it, and delete truncated pictures. "
            "Received: PIL.ImageFile.LOAD_TRUNCATED_IMAGES=True"
        )
    problems: dict[int, Problem] = {}
    pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
    try:
        # The filters belong to all threads of the process, so they are set here, not in a thread.
        with warnings.catch_warnings():
            # Pillow warns of odd metadata beside good pixels; what harms pixels is an error.
            warnings.simplefilter("ignore")
            results = pool.map(lambda source: _try_decode(source, size), sources)
            for i, result in enumerate(results):
                if isinstance(result, Problem):
                    problems[i] = result
                else:
                    consume(i, result)
                if progress:
                    progress(i + 1, len(sources))
    finally:
        # Don't decode thousands of pictures more after an interrupt or an error of `consume`.
        pool.shutdown(cancel_futures=True)
    return problems


def check_size(size: tuple[int, int]) -> None:
    """Raise a `ValueError` unless `size` is `(height, width)`, both positive."""
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"Expected a size of (height, width), both positive. Received: {size=}")


def damaged_pictures(problems: dict[str, Problem], total: int) -> ValueError:
    """Return the error that names up to ten damaged pictures and counts the others."""
    lines = [f"  {name}: {problem.reason}" for name, problem in list(problems.items())[:10]]
    if len(problems) > 10:
        lines.append(f"  and {len(problems) - 10} others")
    return ValueError(
        f"{len(problems)} of {total} pictures cannot be decoded:\n" + "\n".join(lines) + "\n"
        "Expected one whole picture in each file. Fetch these files again, delete them, or "
        "rename those that are no pictures."
    )


def _name(source: Path | bytes, position: int) -> str:
    return str(source) if isinstance(source, Path) else f"sources[{position}]"


def _try_decode(source: Path | bytes, size: tuple[int, int]) -> Pixels | Problem:
    try:
        with BytesIO(source) if isinstance(source, bytes) else open_picture(source) as file:
            return decode_file(file, size)
    except Exception as error:  # Pillow's plugins raise anything at all on damaged content.
        return Problem(explain(error))
