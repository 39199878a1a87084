"""Rows of speed, for tests to change where it matters."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from cnnbench.comparing.ratios import Match, SpeedComparison, compare_all
from cnnbench.comparing.speeds import ReportSpeeds, Speed

STEADY = (0.0100, 0.01002, 0.00998)  # seconds per picture of three processes
# Another value of every column that identifies a row.
OTHER = {
    "variant": "wide",
    "workload": "train",
    "backend": "jax",
    "device": "gpu",
    "dtype": "int8",
    "batch_size": 64,
}
SIGNS = [-1, 1] * 5 + [0]


def speed(*seconds: float, **changes: Any) -> Speed:
    """Returns a row whose processes took these seconds per picture, in 11 rounds of sd 2 %."""
    row = Speed(
        variant="documented",
        workload="inference",
        backend="tensorflow",
        device="cpu",
        dtype="float32",
        batch_size=32,
        fingerprint="f00d",
        processes={
            number: [each * math.exp(0.02 * sign) for sign in SIGNS]
            for number, each in enumerate(seconds)
        },
        conditions={"threads": "2"},
    )
    return replace(row, **changes)


def slower(share: float, seconds: tuple[float, ...] = STEADY, **changes: Any) -> Speed:
    """Returns a row that takes a share more time."""
    return speed(*(each * (1 + share) for each in seconds), **changes)


def compared(*pairs: tuple[Speed, Speed], across: tuple[str, ...] = ()) -> SpeedComparison:
    """Compares report B, which has the second of each pair, with report A."""
    first = ReportSpeeds("A", tuple(pair[0] for pair in pairs))
    later = ReportSpeeds("B", tuple(pair[1] for pair in pairs))
    (found,) = compare_all([first, later], across)
    return found


def match(first: Speed, later: Speed, across: tuple[str, ...] = ()) -> Match:
    """Returns the only match of two rows."""
    (found,) = compared((first, later), across=across).matches
    return found
