"""The pictures of a session: which folder, opened, and passed to workers as a manifest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cnnbench.records.runs import DataSet
from cnnbench.session.options import Options

if TYPE_CHECKING:
    from cnnbench.pictures.data_set import Splits
    from cnnbench.pictures.near_duplicates import NearDuplicates

MANIFEST_NAME = "pictures.json"
TELL_SECONDS = 2.0


@dataclass(frozen=True)
class OpenedPictures:
    """Either a data set with its manifest, or the leaks for which there is none."""

    data_set: DataSet | None
    manifest: Path | None
    leaks: tuple[str, ...]
    seconds: float

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """Names of a training and a held-out picture that look the same, for each such pair."""
        from cnnbench.pictures.data_set import Splits
        from cnnbench.pictures.near_duplicates import NearDuplicates, near_duplicates

        return near_duplicates(Splits.open(self.manifest)) if self.manifest else NearDuplicates()


def read_splits(options: Options, say: Callable[[str], None]) -> Splits:
    """Lists, decodes (or takes from the cache) and splits the pictures that the options name.

    Args:
        options: name the folder; none is the embedded drawn set.
        say: called every other second while pictures are decoded.

    Raises:
        LeakError: if a picture is in both sets.
        ValueError, OSError: if the folder or a picture is unusable; names what and why.
    """
    from cnnbench.pictures.load import load_splits

    if options.data is None:
        say(
            "reading the embedded drawn pictures; the first session draws them, which takes seconds"
        )
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_SECONDS:
            last = time.monotonic()
            say(f"decoded {done} of {total} pictures")

    return load_splits(
        options.data,
        image_size=options.image_size,
        cache=options.cache_dir,
        split_seed=options.split_seed,
        validation_fraction=options.validation_fraction,
        progress=tell,
    )


def open_pictures(options: Options, directory: Path, say: Callable[[str], None]) -> OpenedPictures:
    """Reads the pictures of a session and writes the manifest by which workers open them.

    Args:
        options: name the folder; none is the embedded drawn set.
        directory: where the manifest goes.
        say: called while pictures are decoded.

    Raises:
        ValueError, OSError: if the folder or a picture is unusable; names what and why.
    """
    from cnnbench.pictures.splitting import LeakError

    start = time.perf_counter()
    try:
        splits = read_splits(options, say)
    except LeakError as error:
        leaks = tuple(str(error).splitlines())
        return OpenedPictures(None, None, leaks, time.perf_counter() - start)
    manifest = directory / MANIFEST_NAME
    splits.save(manifest)
    seconds = time.perf_counter() - start
    data_set = DataSet(
        name=splits.name,
        classes=splits.classes,
        content_hash=splits.content_hash,
        input_shape=splits.input_shape,
        train_pictures=len(splits.train.names),
        train_labels_per_class=tuple(
            int((splits.train.labels == label).sum()) for label in range(len(splits.classes))
        ),
        validation_names=splits.validation.names,
        validation_labels=tuple(map(int, splits.validation.labels)),
        load_seconds=seconds,
    )
    return OpenedPictures(data_set, manifest, (), seconds)
