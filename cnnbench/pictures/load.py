"""A folder of pictures as a data set: listed, decoded, split and checked for leaks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cnnbench.pictures.cache import CachedPixels, default_cache_directory, load_pixels
from cnnbench.pictures.data_set import Split, Splits
from cnnbench.pictures.decode import Progress
from cnnbench.pictures.drawn_set import drawn_set_directory
from cnnbench.pictures.listing import Picture, list_pictures
from cnnbench.pictures.splitting import refuse_leaks, split_listing

_ROWS_AT_ONCE = 1024
_DRAWN_NAME = "drawn"


def load_splits(
    folder: str | Path | None = None,
    *,
    image_size: int = 64,
    cache: str | Path | None = None,
    split_seed: int = 0,
    validation_fraction: float = 0.2,
    progress: Progress | None = None,
) -> Splits:
    """Lists, decodes and, where the folder isn't split, splits a folder of pictures.

    Args:
        folder: holds `train/<class>/*.jpg` and `validation/<class>/*.jpg`, or `<class>/*.jpg`, or
            files named like `cat.17.jpg`. By default the embedded pictures, which are drawn first.
        image_size: height and width that pictures are resized to.
        cache: folder that decoded pixels are kept in; by default `CNNBENCH_CACHE_DIR`, or the
            user's cache folder.
        split_seed: of the split of a folder that isn't split. Not the seed of a training.
        validation_fraction: part of each class to hold out of a folder that isn't split.
        progress: called with the number of pictures decoded and to decode, after each.

    Returns:
        The data set.

    Raises:
        LeakError: if a picture is in the folders of both sides.
        OSError: if the folder doesn't exist, or cannot be read.
        ValueError: if the folder has none of the layouts, a class is too small to be split, or
            files are not one whole picture.
    """
    cache = default_cache_directory() if cache is None else Path(cache)
    root = drawn_set_directory(cache) if folder is None else Path(folder)
    listing = list_pictures(root)
    paths = [picture.path for picture in (*listing.train, *(listing.validation or ()))]
    cached = load_pixels(paths, (image_size, image_size), cache, progress)
    if listing.validation is None:
        listing = split_listing(
            listing,
            cached.digests,
            split_seed=split_seed,
            validation_fraction=validation_fraction,
        )
    refuse_leaks(listing, cached.digests)
    train, validation = _side(listing.train, cached), _side(listing.validation or (), cached)
    return Splits(
        name=_DRAWN_NAME if folder is None else root.resolve().name,
        classes=listing.classes,
        pixels_path=cached.path,
        train=train,
        validation=validation,
        content_hash=_content_hash(listing.classes, cached, (train, validation)),
    )


def _side(pictures: Sequence[Picture], cached: CachedPixels) -> Split:
    return Split.of(
        names=[picture.name for picture in pictures],
        labels=[picture.label for picture in pictures],
        rows=[cached.rows[picture.path] for picture in pictures],
    )


def _content_hash(classes: tuple[str, ...], cached: CachedPixels, sides: tuple[Split, ...]) -> str:
    """Hashes what a model sees, and not where or under which name it was stored."""
    # The sizes come first, so that no two data sets are written to the same bytes.
    sizes = [len(side.rows) for side in sides]
    header = json.dumps([list(classes), list(cached.pixels.shape[1:]), sizes])
    digest = hashlib.sha256(header.encode())
    for side in sides:
        digest.update(side.labels.astype("<i8").tobytes())
        for start in range(0, len(side.rows), _ROWS_AT_ONCE):
            digest.update(cached.pixels[side.rows[start : start + _ROWS_AT_ONCE]].tobytes())
    return digest.hexdigest()
