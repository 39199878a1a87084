"""Turn one picture file into RGB pixels of a given size.

A picture is decoded in full, since only that finds a truncated file. `convert("RGB")` alone
would silently clip 16-bit grey to white, ignore the camera's orientation and show what
transparency hides; `_to_rgb` is what is done instead. Colour profiles are not applied.
"""

import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, UnidentifiedImageError, features

Pixels = npt.NDArray[np.uint8]

# To be raised when a change below changes pixels: cached pixels are found by it.
DECODE_VERSION = 1
_REDUCING_GAP = 2.0
_LIBRARIES = ("jpg", "libjpeg_turbo", "webp", "avif")
# Two loaders with one identity give the same pixels for the same file.
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


def open_picture(path: Path) -> BufferedReader:
    """Open a file for reading, without ever waiting for one.

    Args:
        path: The file.

    Raises:
        OSError: The file cannot be read, or is a folder, pipe, socket or device.
    """
    # Opening a pipe waits until somebody writes into it, so its kind is asked for first.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file, but a folder, pipe, socket or device")
    return path.open("rb")


def decode_file(file: BinaryIO, size: tuple[int, int]) -> Pixels:
    """Decode an open picture file.

    Args:
        file: The file, at its start.
        size: `(height, width)` to resize to.

    Returns:
        The pixels, of shape `(height, width, 3)`.

    Raises:
        Exception: The content is not one whole picture; `explain` turns the error into words.
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


def explain(error: Exception) -> str:
    """Return the reason of a problem in words."""
    if isinstance(error, UnidentifiedImageError):
        return f"damaged, or not a picture in one of the formats {', '.join(_FORMATS)}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


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
