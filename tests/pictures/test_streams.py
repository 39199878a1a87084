"""Random streams: each purpose has its own."""

from __future__ import annotations

from typing import get_args

import numpy as np

from cnnbench.pictures.batches import Pictures, drawn_batch, epoch_batches
from cnnbench.pictures.streams import Purpose, random_stream

PURPOSES = get_args(Purpose)


def test_no_two_purposes_and_no_two_epochs_share_a_stream() -> None:
    first = [random_stream(seed, purpose).random() for seed in (0, 1) for purpose in PURPOSES]
    epochs = [
        random_stream(seed, purpose, number).random()
        for seed in (0, 1)
        for purpose in PURPOSES
        for number in range(20)
    ]
    assert len({*first, *epochs}) == len(first) + len(epochs)


def test_a_stream_is_a_function_of_its_arguments() -> None:
    one, other = (random_stream(3, "epoch_order", 2).random(5) for _ in range(2))
    assert one.tolist() == other.tolist()


def test_timed_batches_are_in_no_order_of_an_epoch() -> None:
    side = Pictures(np.zeros((40, 1, 1, 1), np.uint8), np.arange(40))
    timed = drawn_batch(side, 40, 0).labels.tolist()
    assert all(epoch_batches(40, 40, 1, 0, epoch)[0].tolist() != timed for epoch in range(20))
