"""Random numbers: one stream a purpose, all from one seed."""

from __future__ import annotations

from typing import Literal

import numpy as np

Purpose = Literal[
    "epoch_order",
    "monitor_split",
    "shuffled_labels",
    "tiny_batch",
    "timed_batches",
    "warm_up_batches",
    "rounding",
    "ab_pair",
    "calibration",
]


def random_stream(seed: int, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """Returns a generator whose numbers no other purpose gets from this seed.

    Args:
        seed: at least 0.
        purpose: what is drawn.
        numbers: of the epoch, the pair or the like, where a purpose has several streams.
    """
    key = (int.from_bytes(purpose.encode()), *numbers)  # the name itself, whatever others there are
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
