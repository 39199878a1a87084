"""Split one folder of pictures in two, and find pictures that are on both sides.

Both go by the content of the files: a copy of a training picture under another name is not held
out, and a split that depended on names would change with them.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cnnbench.pictures.listing import Listing


def split_listing(
    listing: Listing,
    digests: Mapping[Path, str],
    *,
    split_seed: int = 0,
    validation_fraction: float = 0.2,
) -> Listing:
    """Split the pictures of each class into training and held-out ones.

    Files of equal content stay on one side. The order of a picture in the draw is a hash of the
    seed and its content, so that the split is the same under other names, on every machine and
    with every library version, and hardly moves when pictures are added.

    Args:
        listing: Pictures that are all in `train`.
        digests: Hash of each file's content.
        split_seed: Another seed draws another split.
        validation_fraction: Fraction of each class to hold out, more than 0 and less than 1.

    Returns:
        The listing with `train` and `validation`, each with a picture of every class.

    Raises:
        ValueError: The listing is split already, the fraction is not between 0 and 1, or a class
            has fewer than two pictures of different content to draw from.
    """
    if listing.validation is not None:
        raise ValueError(
            f"The listing is split already. Expected one without validation pictures. "
            f"Received: root={listing.root!s}"
        )
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
    """Put each content of a class on a side, and return whether both sides have some of it."""
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
