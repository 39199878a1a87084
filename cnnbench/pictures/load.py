"""A folder of pictures as a data set: listed, decoded, split and checked for leaks."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cnnbench.pictures.cache import CachedPixels, default_cache_directory, load_pixels
from cnnbench.pictures.data_set import Split, Splits
from cnnbench.pictures.decode import Progress, first_ten
from cnnbench.pictures.drawn_set import drawn_set_directory
from cnnbench.pictures.listing import Listing, Picture, list_pictures

_ROWS_AT_ONCE = 1024
_DRAWN_NAME = "drawn"


class LeakError(ValueError):
    """Pictures are both trained on and held out, which makes held-out accuracy worthless."""


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


def split_listing(
    listing: Listing, digests: Mapping[Path, str], *, split_seed: int, validation_fraction: float
) -> Listing:
    """Splits the pictures of each class into training and held-out ones.

    Files of equal content stay on one side. The order of a picture in the draw is a hash of the
    seed and its content, so that the split is the same under other names, on every machine and
    with every library version, and hardly changes when pictures are added.

    Args:
        listing: pictures that are all in `train`.
        digests: hash of each file's content.
        split_seed: another seed draws another split.
        validation_fraction: part of each class to hold out.

    Returns:
        The listing with `train` and `validation`, each with a picture of every class.

    Raises:
        ValueError: if the fraction is not between 0 and 1, or a class has fewer than two pictures
            of different content to draw from.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"Expected a validation fraction of more than 0 and less than 1. "
            f"Received: {validation_fraction=}"
        )
    held_out: dict[str, bool] = {}
    for label, name in enumerate(listing.classes):
        members = Counter(digests[p.path] for p in listing.train if p.label == label)
        if not _hold_out(members, held_out, split_seed, validation_fraction):
            raise ValueError(
                f"The class {name!r} has too few pictures to be split. Expected at least two "
                f"different ones that no other class has; add pictures. Received: "
                f"pictures={members.total()}, different={len(members)}, root={listing.root!s}"
            )
    return replace(
        listing,
        train=tuple(p for p in listing.train if not held_out[digests[p.path]]),
        validation=tuple(p for p in listing.train if held_out[digests[p.path]]),
    )


def _hold_out(
    members: Counter[str], held_out: dict[str, bool], split_seed: int, fraction: float
) -> bool:
    """Puts each content of a class on a side, and returns whether both sides have some of it."""
    total = members.total()
    target = min(max(1, int(total * fraction + 0.5)), total - 1)
    # The same picture may be in two classes; then the first class has placed it.
    count = sum(n for digest, n in members.items() if held_out.get(digest))
    free = [digest for digest in members if digest not in held_out]
    free.sort(key=lambda digest: hashlib.sha256(f"{split_seed} {digest}".encode()).digest())
    for digest in free:
        held_out[digest] = count + members[digest] <= target
        count += members[digest] * held_out[digest]
    if count == 0 and free:
        # Every content has more copies than were to be held out.
        fewest = min(free, key=lambda digest: members[digest])
        held_out[fewest] = True
        count = members[fewest]
    return 0 < count < total


def refuse_leaks(listing: Listing, digests: Mapping[Path, str]) -> None:
    """Refuses a listing in which files of equal content are both trained on and held out.

    Raises:
        LeakError: if there are such pictures; names the first ten pairs.
    """
    trained = {digests[picture.path]: picture.name for picture in reversed(listing.train)}
    leaks = [
        f"{trained[digests[picture.path]]} and {picture.name}"
        for picture in listing.validation or ()
        if digests[picture.path] in trained
    ]
    if leaks:
        raise LeakError(
            f"{len(leaks)} held-out pictures are also trained on:\n{first_ten(leaks)}\n"
            f"Expected no picture on both sides; delete one of each pair. "
            f"Received: root={listing.root!s}"
        )
