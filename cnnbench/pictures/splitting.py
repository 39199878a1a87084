"""Splits one folder of pictures in two, and finds pictures that are on both sides.

Both go by the content of the files: a copy of a training picture under another name is not held
out, and a split that depended on names would change with them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cnnbench.pictures.decode import first_ten
from cnnbench.pictures.listing import Listing


class LeakError(ValueError):
    """Pictures are both trained on and held out, which makes held-out accuracy worthless."""


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
