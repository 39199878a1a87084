"""Load an image folder: list, decode, split and check it for leaks."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from cnnbench.pictures.cache import CachedPixels, load_pixels
from cnnbench.pictures.data_set import Split, Splits, read_only
from cnnbench.pictures.leaks import LeakError, refuse_leaks
from cnnbench.pictures.listing import Picture, list_pictures
from cnnbench.pictures.splitting import split_listing

__all__ = ["LeakError", "Split", "Splits", "load_splits"]

_ROWS_AT_ONCE = 1024


def load_splits(
    root: Path,
    *,
    input_size: tuple[int, int] = (64, 64),
    cache: Path,
    split_seed: int = 0,
    validation_fraction: float = 0.2,
    progress: Callable[[int, int], None] | None = None,
) -> Splits:
    """List, decode and, where the folder isn't split, split an image folder.

    Args:
        root: The image folder; `list_pictures` says which layouts are understood.
        input_size: `(height, width)` that pictures are resized to.
        cache: Folder that decoded pixels are kept in.
        split_seed: Seed of the split of a folder that isn't split. Not the seed of a training.
        validation_fraction: Fraction of each class to hold out of a folder that isn't split.
        progress: Called with the number of pictures decoded and to decode, after each.

    Returns:
        The data set.

    Raises:
        LeakError: A picture is in the folders of both splits.
        OSError: The folder doesn't exist, or cannot be read.
        ValueError: The folder has none of the layouts, a class is too small to be split, or files
            are not one whole picture.
    """
    listing = list_pictures(root)
    paths = [picture.path for picture in (*listing.train, *(listing.validation or ()))]
    cached = load_pixels(paths, input_size, cache, progress)
    digests = dict(zip(paths, cached.digests, strict=True))
    if listing.validation is None:
        listing = split_listing(
            listing, digests, split_seed=split_seed, validation_fraction=validation_fraction
        )
    refuse_leaks(listing, digests)
    row_of = dict(zip(paths, cached.rows.tolist(), strict=True))
    train, validation = _split(listing.train, row_of), _split(listing.validation or (), row_of)
    content_hash = _content_hash(listing.classes, cached, (train, validation))
    name = root.resolve().name
    return Splits(name, listing.classes, cached.path, train, validation, content_hash)


def _split(pictures: Sequence[Picture], row_of: dict[Path, int]) -> Split:
    return Split(
        tuple(picture.name for picture in pictures),
        read_only([picture.label for picture in pictures]),
        read_only([row_of[picture.path] for picture in pictures]),
    )


def _content_hash(classes: tuple[str, ...], cached: CachedPixels, splits: tuple[Split, ...]) -> str:
    """Hash what a model sees, and not where or under which name it was stored."""
    # The sizes come first, so that no two data sets are written to the same bytes.
    sizes = [len(split.rows) for split in splits]
    header = json.dumps([list(classes), list(cached.pixels.shape[1:]), sizes])
    digest = hashlib.sha256(header.encode())
    for split in splits:
        digest.update(split.labels.astype("<i8").tobytes())
        for start in range(0, len(split.rows), _ROWS_AT_ONCE):
            digest.update(cached.pixels[split.rows[start : start + _ROWS_AT_ONCE]].tobytes())
    return digest.hexdigest()
