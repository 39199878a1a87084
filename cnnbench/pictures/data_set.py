"""A folder of pictures as a data set: listed, decoded, split and checked for leaks."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnbench.pictures.drawn_set import drawn_set_directory
from cnnbench.pictures.listing import Listing, list_pictures
from cnnbench.pictures.pixels import (
    Pixels,
    Progress,
    default_cache_directory,
    first_ten,
    load_pixels,
)


class LeakError(ValueError):
    """Pictures are both trained on and held out, which makes held-out accuracy worthless."""


@dataclass(frozen=True, eq=False)
class Split:
    """The pictures on one side, sorted by name: labels and rows of the pixel file, `(n,)`.

    Names are POSIX paths, relative to the folder of the data set.
    """

    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str], labels: Sequence[int], rows: Sequence[int]) -> Split:
        """Makes a split whose numbers nobody can change."""
        split = cls(tuple(names), np.array(labels, np.int64), np.array(rows, np.int64))
        split.labels.setflags(write=False)
        split.rows.setflags(write=False)
        return split

    def __repr__(self) -> str:
        return f"Split({len(self.names)} pictures)"


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set: the pictures to train on and the held-out ones.

    Args:
        name: of the folder.
        classes: class names; the position is the label.
        pixels_path: absolute path of a `.npy` file of uint8, `(rows, height, width, 3)`.
        train: pictures to train on.
        validation: held-out pictures.
        content_hash: SHA-256 over the classes and, for each side, the labels and decoded pixels
            in order: two data sets with the same hash are the same to a model.
    """

    name: str
    classes: tuple[str, ...]
    pixels_path: Path = field(repr=False)
    train: Split
    validation: Split
    content_hash: str = field(repr=False)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """`(height, width, 3)`."""
        _, height, width, channels = self._pixels().shape
        return height, width, channels

    def train_pictures(self) -> Pixels:
        """Reads the training pictures into memory, `(n, height, width, 3)`."""
        return self._pixels()[self.train.rows]

    def validation_pictures(self) -> Pixels:
        """Reads the held-out pictures into memory, `(n, height, width, 3)`."""
        return self._pixels()[self.validation.rows]

    def _pixels(self) -> Pixels:
        try:
            pixels: Pixels = np.lib.format.open_memmap(self.pixels_path, mode="r")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"The decoded pixels of {self.name!r} are gone. Expected the file that "
                f"`load_splits` made; call it again to make another. "
                f"Received: pixels_path={self.pixels_path!s}"
            ) from error
        return pixels

    def save(self, path: Path) -> None:
        """Writes a JSON manifest that another process can open; the pixels stay where they are."""
        manifest = {**asdict(self), "pixels_path": str(self.pixels_path)}
        path.write_text(json.dumps(manifest, default=np.ndarray.tolist), encoding="utf-8")

    @classmethod
    def open(cls, path: Path) -> Splits:
        """Reads a manifest that `save` wrote."""
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["classes"] = tuple(manifest["classes"])
        manifest["pixels_path"] = Path(manifest["pixels_path"])
        for side in ("train", "validation"):
            manifest[side] = Split.of(**manifest[side])
        return cls(**manifest)


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
        listing = split_listing(listing, cached.digests, split_seed, validation_fraction)
    refuse_leaks(listing, cached.digests)
    train, validation = (
        Split.of(
            names=[picture.name for picture in side],
            labels=[picture.label for picture in side],
            rows=[cached.rows[picture.path] for picture in side],
        )
        for side in (listing.train, listing.validation or ())
    )
    return Splits(
        name="drawn" if folder is None else root.resolve().name,
        classes=listing.classes,
        pixels_path=cached.path,
        train=train,
        validation=validation,
        content_hash=_content_hash(listing.classes, cached.pixels, (train, validation)),
    )


def _content_hash(classes: tuple[str, ...], pixels: Pixels, sides: tuple[Split, ...]) -> str:
    """Hashes what a model sees, and not where or under which name it was stored."""
    # The sizes come first, so that no two data sets are written to the same bytes.
    sizes = [len(side.rows) for side in sides]
    header = json.dumps([list(classes), list(pixels.shape[1:]), sizes])
    digest = hashlib.sha256(header.encode())
    for side in sides:
        digest.update(side.labels.astype("<i8").tobytes())
        for rows in np.split(side.rows, range(1024, len(side.rows), 1024)):  # not all in memory
            digest.update(pixels[rows].tobytes())
    return digest.hexdigest()


def split_listing(
    listing: Listing, digests: Mapping[Path, str], split_seed: int, validation_fraction: float
) -> Listing:
    """Splits the pictures of each class, all in `train`, into training and held-out ones.

    Files of equal content stay on one side, and each side gets pictures of every class. The order
    of a picture in the draw is a hash of the seed and its content, so that the split is the same
    under other names, on every machine and with every library version, and hardly changes when
    pictures are added.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"Expected a validation fraction of more than 0 and less than 1. "
            f"Received: {validation_fraction=}"
        )
    held_out: dict[str, bool] = {}
    for label, name in enumerate(listing.classes):
        members = Counter(digests[p.path] for p in listing.train if p.label == label)
        total = members.total()
        target = min(max(1, int(total * validation_fraction + 0.5)), total - 1)
        # The same picture may be in two classes; then the first class has placed it.
        count = sum(n for digest, n in members.items() if held_out.get(digest))
        free = [digest for digest in members if digest not in held_out]
        free.sort(key=lambda digest: hashlib.sha256(f"{split_seed} {digest}".encode()).digest())
        for digest in free:
            held_out[digest] = count + members[digest] <= target
            count += members[digest] * held_out[digest]
        if count == 0 and free:
            # Every content has more copies than were to be held out.
            fewest = min(free, key=members.__getitem__)
            held_out[fewest] = True
            count = members[fewest]
        if not 0 < count < total:
            raise ValueError(
                f"The class {name!r} has too few pictures to be split. Expected at least two "
                f"different ones that no other class has; add pictures. Received: "
                f"pictures={total}, different={len(members)}, root={listing.root!s}"
            )
    return replace(
        listing,
        train=tuple(p for p in listing.train if not held_out[digests[p.path]]),
        validation=tuple(p for p in listing.train if held_out[digests[p.path]]),
    )


def refuse_leaks(listing: Listing, digests: Mapping[Path, str]) -> None:
    """Raises a `LeakError` that names the first ten pairs of equal content on both sides."""
    trained = {digests[p.path]: p.name for p in reversed(listing.train)}
    held_out = [(digests[p.path], p.name) for p in listing.validation or ()]
    leaks = [f"{trained[digest]} and {name}" for digest, name in held_out if digest in trained]
    if leaks:
        raise LeakError(
            f"{len(leaks)} held-out pictures are also trained on:\n{first_ten(leaks)}\n"
            f"Expected no picture on both sides; delete one of each pair. "
            f"Received: root={listing.root!s}"
        )
