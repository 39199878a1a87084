"""What a seed draws: one stream a purpose, and the order that pictures are shown in."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    """Returns a generator whose numbers no other purpose, epoch or pair gets from this seed."""
    key = (int.from_bytes(purpose.encode()), *numbers)  # the name itself, whatever others there are
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class Pictures:
    """Arrays of one side: uint8 pictures `(n, height, width, channels)`, int64 labels `(n,)`."""

    pictures: np.ndarray
    labels: np.ndarray

    def taken(self, rows: np.ndarray) -> Pictures:
        return Pictures(self.pictures[rows], self.labels[rows])


def epoch_batches(
    count: int, batch_size: int, steps: int, seed: int, epoch: int
) -> list[np.ndarray]:
    """Returns the row numbers of each batch of an epoch: a function of the arguments alone.

    Up to one pass, each picture is shown at most once and the last batch of a whole pass may be
    smaller. More steps walk the set again, in a new order each time, in whole batches. The order is
    drawn by NumPy and not by a backend, so that every backend sees the same.
    """
    one_pass = steps <= math.ceil(count / batch_size)
    passes = 1 if one_pass else math.ceil(steps * batch_size / count)
    rng = random_stream(seed, "epoch_order", epoch)
    order = np.concatenate([rng.permutation(count) for _ in range(passes)])
    starts = range(0, min(len(order), steps * batch_size), batch_size)
    return [order[start : start + batch_size] for start in starts]


def drawn_batch(
    side: Pictures,
    batch_size: int,
    seed: int,
    number: int = 0,
    purpose: Purpose = "timed_batches",
) -> Pictures:
    """Returns batch `number` of an order that the seed draws; too few pictures are repeated."""
    order = random_stream(seed, purpose).permutation(len(side.labels))
    rows = order[np.arange(number * batch_size, (number + 1) * batch_size) % len(order)]
    return Pictures(np.ascontiguousarray(side.pictures[rows]), side.labels[rows])
