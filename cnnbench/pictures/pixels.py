"""Picture files as RGB pixels of a given size, decoded once and kept in a cache.

A picture is decoded in full, since only that finds a truncated file. `convert("RGB")` alone
would silently clip 16-bit grey to white, ignore the camera's orientation and show what
transparency hides; `_to_rgb` is what is done instead. Colour profiles are not applied.

The cache finds pixels by the content of the files. Renaming, relabelling or splitting a folder
otherwise finds the same entry; another size, another decoder or a changed picture makes a new one.
An entry is one `.npy` file, so that all worker processes share the memory that it is mapped into.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError, features

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
R = TypeVar("R")

DECODE_VERSION = 1  # raise it when a change below changes pixels: the cache finds them by it
_REDUCING_GAP = 2.0
# Two loaders with the same identity give the same pixels for the same file.
LOADER_ID = (
    f"cnnbench-decode {DECODE_VERSION}; Pillow {PIL.__version__}; "
    + "; ".join(f"{n} {features.version(n)}" for n in ("jpg", "libjpeg_turbo", "webp", "avif"))
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


def decode_pictures(
    paths: Sequence[Path], size: tuple[int, int], progress: Progress | None = None
) -> Pixels:
    """Decodes pictures to `(len(paths), height, width, 3)`, in threads.

    They are resized with antialiasing and without keeping the aspect. `progress` is called with the
    number of pictures done and of all pictures, after each.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError(
            "Pillow has been set to fill missing parts of truncated pictures with grey. Expected "
            "its default; remove the line that sets it, and delete truncated pictures. "
            "Received: PIL.ImageFile.LOAD_TRUNCATED_IMAGES=True"
        )
    pixels = np.empty((len(paths), *size, 3), np.uint8)

    def decode(position: int, path: Path) -> None:
        with open_picture(path) as file:
            pixels[position] = _decode(file, size)

    # Pillow warns of odd metadata beside good pixels; what harms pixels is an error. The filters
    # belong to all threads of the process, so they are set here, not in a thread.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each_in_threads(decode, paths, progress)
    return pixels


def each_in_threads(
    function: Callable[[int, Path], R], paths: Sequence[Path], progress: Progress | None = None
) -> list[R]:
    """Returns what a function makes of the position and path of each picture, in threads.

    Where it fails, with an error of any kind, the file is not one whole picture: a `ValueError`
    names the first ten such files and says why.
    """
    results: list[R] = []
    problems: list[str] = []
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(function, *numbered) for numbered in enumerate(paths)]
        for number, (path, future) in enumerate(zip(paths, futures, strict=True), start=1):
            try:
                results.append(future.result())
            except Exception as error:  # Pillow's plugins raise anything at all on damaged content
                problems.append(f"{path}: {_reason(error)}")
            if progress:
                progress(number, len(paths))
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt, don't decode thousands more
    if problems:
        raise ValueError(
            f"{len(problems)} of {len(paths)} pictures cannot be decoded:\n{first_ten(problems)}\n"
            "Expected one whole picture in each file. Fetch these files again, delete them, or "
            "rename those that are not pictures."
        )
    return results


def first_ten(lines: Sequence[str]) -> str:
    """Returns the first ten lines, indented, and the number of the others."""
    shown = [f"  {line}" for line in lines[:10]]
    return "\n".join([*shown, f"  and {len(lines) - 10} others"] if len(lines) > 10 else shown)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"damaged, or not a picture in one of the formats {', '.join(_FORMATS)}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def open_picture(path: Path) -> BufferedReader:
    """Opens a regular file for reading, without ever waiting for one."""
    # Opening a pipe waits until somebody writes into it, so its kind is looked up first.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file, but a folder, pipe, socket or device")
    return path.open("rb")


def _decode(file: BinaryIO, size: tuple[int, int]) -> Pixels:
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
    small = rgb.resize(size[::-1], Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
    return np.asarray(small)


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


@dataclass(frozen=True, eq=False)
class CachedPixels:
    """Pixels of different contents, mapped read-only: `(contents, height, width, 3)`.

    `path` is the entry, `digests` has the SHA-256 of each file, `rows` its row of `pixels`.
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
    """Returns the pixels of picture files, decoded if the cache doesn't have them.

    Raises a `ValueError` that names the first ten files which are not one whole picture.
    """
    digests = dict(zip(paths, each_in_threads(_digest, paths), strict=True))
    files = {digest: path for path, digest in digests.items()}
    unique = sorted(files)
    key = hashlib.sha256(json.dumps([LOADER_ID, list(size), unique]).encode()).hexdigest()
    entry = cache.absolute() / f"{key}.npy"
    shape = (len(unique), *size, 3)
    pixels = _open_entry(entry, shape)
    if pixels is None:
        _write_entry(entry, decode_pictures([files[one] for one in unique], size, progress))
        pixels = _open_entry(entry, shape)
    if pixels is None:
        raise OSError(f"The cache entry was damaged as soon as written. Received: {entry=!s}")
    rows = {digest: row for row, digest in enumerate(unique)}
    return CachedPixels(entry, pixels, digests, {p: rows[digest] for p, digest in digests.items()})


def _digest(_: int, path: Path) -> str:
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
