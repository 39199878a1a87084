"""Picture files as RGB pixels of a given size.

A picture is decoded in full, since only that finds a truncated file. `convert("RGB")` alone
would silently clip 16-bit grey to white, ignore the camera's orientation and show what
transparency hides; `_to_rgb` is what is done instead. Colour profiles are not applied.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, features

Pixels = npt.NDArray[np.uint8]

# Raise it when a change below changes pixels: cached pixels are found by it.
DECODE_VERSION = 1
_REDUCING_GAP = 2.0
_LIBRARIES = ("jpg", "libjpeg_turbo", "webp", "avif")
# Two loaders with the same identity give the same pixels for the same file.
LOADER_ID = (
    f"cnnbench-decode {DECODE_VERSION}; Pillow {PIL.__version__}; "
    + "; ".join(f"{name} {features.version(name)}" for name in _LIBRARIES)
    + f"; bilinear, reducing_gap {_REDUCING_GAP}"
)

# Only these: Pillow knows formats that start other programs (EPS) or have no pixels of their own.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MOST_NAMED = 10


class Problem(str):
    """Why a file can't be used as a picture, without the file's name."""

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """Returns the reason of an error in words."""
        if isinstance(error, UnidentifiedImageError):
            return cls(f"damaged, or not a picture in one of the formats {', '.join(_FORMATS)}")
        if isinstance(error, OSError):
            return cls(error.strerror or str(error))
        return cls(error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")


def decode_pictures(sources: Sequence[Path | bytes], size: tuple[int, int]) -> Pixels:
    """Decodes pictures in threads.

    Args:
        sources: picture files or their contents.
        size: `(height, width)` to resize to, with antialiasing and without keeping the aspect.

    Returns:
        The pixels, `(len(sources), height, width, 3)`.

    Raises:
        ValueError: if some sources are not one whole picture; names the first ten.
        RuntimeError: if Pillow has been set to accept truncated pictures.
    """
    pixels = np.empty((len(sources), *size, 3), np.uint8)
    problems = decode_each(sources, size, pixels.__setitem__)
    if problems:
        raise damaged_pictures({str(sources[i]): p for i, p in problems.items()}, len(sources))
    return pixels


def decode_each(
    sources: Sequence[Path | bytes],
    size: tuple[int, int],
    consume: Callable[[int, Pixels], object],
    progress: Callable[[int, int], None] | None = None,
) -> dict[int, Problem]:
    """Decodes pictures in threads and passes each on, in order, in the calling thread.

    Args:
        sources: picture files or their contents.
        size: `(height, width)` to resize to.
        consume: called with the position and the pixels, `(height, width, 3)`, of each picture.
        progress: called with the number of pictures done and of all pictures, after each.

    Returns:
        The problem of each source that could not be decoded, by position.

    Raises:
        RuntimeError: if Pillow has been set to accept truncated pictures.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "Pillow has been set to fill missing parts of truncated pictures with grey. Expected "
            "its default; remove the line that sets it, and delete truncated pictures. "
            "Received: PIL.ImageFile.LOAD_TRUNCATED_IMAGES=True"
        )
    problems: dict[int, Problem] = {}
    pool = ThreadPoolExecutor(os.cpu_count())
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
        # Don't decode thousands more pictures after an interrupt or an error of `consume`.
        pool.shutdown(cancel_futures=True)
    return problems


def damaged_pictures(problems: Mapping[str, Problem], total: int) -> ValueError:
    """Returns the error that names up to ten damaged pictures and counts the others."""
    lines = [f"  {name}: {problem}" for name, problem in list(problems.items())[:_MOST_NAMED]]
    if len(problems) > _MOST_NAMED:
        lines.append(f"  and {len(problems) - _MOST_NAMED} others")
    return ValueError(
        f"{len(problems)} of {total} pictures cannot be decoded:\n" + "\n".join(lines) + "\n"
        "Expected one whole picture in each file. Fetch these files again, delete them, or "
        "rename those that are not pictures."
    )


def open_picture(path: Path) -> BufferedReader:
    """Opens a file for reading, without ever waiting for one.

    Raises:
        OSError: if the file cannot be read, or is a folder, pipe, socket or device.
    """
    # Opening a pipe waits until somebody writes into it, so its kind is looked up first.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file, but a folder, pipe, socket or device")
    return path.open("rb")


def _try_decode(source: Path | bytes, size: tuple[int, int]) -> Pixels | Problem:
    try:
        with BytesIO(source) if isinstance(source, bytes) else open_picture(source) as file:
            return decode_file(file, size)
    except Exception as error:  # Pillow's plugins raise anything at all on damaged content.
        return Problem.of(error)


def decode_file(file: BinaryIO, size: tuple[int, int]) -> Pixels:
    """Returns the pixels of an open picture file, `(height, width, 3)`.

    Raises:
        Exception: of any kind, if the content is not one whole picture.
    """
    if not file.read(1):
        raise ValueError("the file is empty")
    file.seek(0)
    with Image.open(file, formats=_FORMATS) as picture:
        limit = Image.MAX_IMAGE_PIXELS
        # Pillow itself only warns up to twice its limit.
        if limit and picture.width * picture.height > limit:
            raise ValueError(f"{picture.width} x {picture.height} pixels; Pillow allows {limit}")
        picture.load()
        upright = _UPRIGHT.get(_orientation(picture))
        rgb = _to_rgb(picture)
    if upright is not None:
        rgb = rgb.transpose(upright)
    height, width = size
    return np.asarray(
        rgb.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    )


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Unreadable metadata beside good pixels: shown as stored.
        return 1


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no defined white; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        picture = _sixteen_bit_grey(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")


def _sixteen_bit_grey(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture).astype(np.int64)
    # Mode "I" has 32 bits, but Pillow also gives it to 16-bit files.
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("grey of more than 16 bits has no defined white; save it with 8 or 16")
    grey = ((values + 128) // 257).astype(np.uint8)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        grey[values == hidden] = 255
    return Image.fromarray(grey)
