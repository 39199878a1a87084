"""The pictures that options name, and their record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnnbench.records.runs import DataSet
from cnnbench.session.options import Options

if TYPE_CHECKING:
    from cnnbench.pictures.data_set import Splits

TELL_SECONDS = 2.0


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
        say("reading the embedded pictures; the first session draws them, which takes seconds")
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


def data_set_of(splits: Splits, load_seconds: float) -> DataSet:
    """Returns the record of a data set."""
    labels, classes = splits.train.labels.tolist(), range(len(splits.classes))
    return DataSet(
        name=splits.name,
        classes=splits.classes,
        content_hash=splits.content_hash,
        input_shape=splits.input_shape,
        train_pictures=len(labels),
        train_labels_per_class=tuple(map(labels.count, classes)),
        validation_names=splits.validation.names,
        validation_labels=tuple(splits.validation.labels.tolist()),
        load_seconds=load_seconds,
    )
