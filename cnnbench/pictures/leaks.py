"""TODO docstring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnbench.pictures.listing import Listing, Picture


class LeakError(ValueError):
    """Pictures are trained on and held out at once, which makes held-out accuracy worthless."""


def find_leaks(
    train: Sequence[Picture], validation: Sequence[Picture], digests: Mapping[Path, str]
) -> list[tuple[Picture, Picture]]:
    """Find held-out pictures that are trained on.

    Only files of equal content are found: not a picture that was resized or saved again.

    Args:
        train: Pictures to train on.
        validation: Held-out pictures.
        digests: Hash of each file's content.

    Returns:
        Each held-out picture that is in `train` too, after the first of its copies there.
    """
    first: dict[str, Picture] = {}
    for picture in train:
        first.setdefault(digests[picture.path], picture)
    twins = ((first.get(digests[picture.path]), picture) for picture in validation)
    return [(twin, picture) for twin, picture in twins if twin is not None]


def refuse_leaks(listing: Listing, digests: Mapping[Path, str]) -> None:
    """Refuse a listing in which pictures are trained on and held out at once.

    Args:
        listing: Pictures that are split.
        digests: Hash of each file's content.

    Raises:
        LeakError: There are such pictures; names the first ten pairs and the number of the others.
    """
    leaks = find_leaks(listing.train, listing.validation or (), digests)
    if not leaks:
        return
    lines = [f"  {train.name} and {validation.name}" for train, validation in leaks[:10]]
    if len(leaks) > 10:
        lines.append(f"  and {len(leaks) - 10} others")
    raise LeakError(
        f"{len(leaks)} held-out pictures are also trained on:\n" + "\n".join(lines) + "\n"
        f"Expected no picture on both sides; delete one of each pair. "
        f"Received: root={listing.root!s}"
    )
