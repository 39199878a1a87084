"""Checks of the pictures of a session, whatever is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnnbench.records.records import CheckResult, DataSet
from cnnbench.verdicts.results import result_of

if TYPE_CHECKING:
    from cnnbench.pictures.near_duplicates import NearDuplicates

NAMED_PAIRS = 10


def check_held_out(leaks: Sequence[str]) -> CheckResult:
    """Passes if no picture is in both sets; `leaks` has a line for each pair of equal content."""
    detail = "\n".join(leaks) or "no picture is in both sets, by content"
    return result_of("held_out", None, len(leaks), 0, detail)


def check_near_duplicates(found: NearDuplicates) -> CheckResult:
    """Passes if no held-out picture is a training picture saved again, resized, cropped or so.

    Pairs that are no closer than training pictures are to each other don't fail: where strangers
    look alike, such a pair cannot be told from two pictures of similar things.
    """
    said = []
    if found.pairs:
        said.append(
            f"{len(found.pairs)} held-out pictures look like one that is trained on; look at them, "
            f"and delete one of each pair:{_named(found.pairs)}"
        )
    if found.look_alikes:
        said.append(
            f"Strangers look alike here: {len(found.look_alikes)} held-out pictures look like one "
            "that is trained on, but no more than training pictures look like each other. Whether "
            f"there are near-duplicates among them cannot be told:{_named(found.look_alikes)}"
        )
    detail = "\n".join(said) or "no held-out picture looks like one that is trained on"
    return result_of("near_duplicates", None, len(found.pairs), 0, detail)


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    lines = [f"\n  {train} and {held_out}" for train, held_out in pairs[:NAMED_PAIRS]]
    if len(pairs) > NAMED_PAIRS:
        lines.append(f"\n  and {len(pairs) - NAMED_PAIRS} others")
    return "".join(lines)


def check_class_balance(data: DataSet, least: float) -> CheckResult:
    """Passes if every class has enough of the training set, and about as much as held out.

    A class fails with less than the part `least` of an even share of the training pictures, or if
    its share on one side is less than this part of that on the other. `observed` is the least part.
    """
    even, held_out = 1 / len(data.classes), Counter(data.validation_labels)
    parts, shares = {}, []
    for label, name in enumerate(data.classes):
        trained = data.train_labels_per_class[label] / sum(data.train_labels_per_class)
        judged = held_out[label] / len(data.validation_labels)
        small, large = sorted((trained, judged))
        parts[name] = min(trained / even, small / (large or 1.0))
        shares.append(f"{name} {trained:.1%} and {judged:.1%}")
    worst = min(parts, key=parts.__getitem__)
    detail = (
        f"shares in training and held out: {', '.join(shares)}; least is {worst!r} with "
        f"{parts[worst]:.2f} of an even share or of its share on the other side, expected at least "
        f"{least:.2f}"
    )
    passed = parts[worst] >= least
    return result_of("class_balance", None, parts[worst], least, detail, passed=passed)
