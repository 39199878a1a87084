"""The order in which a training walks through its pictures."""

from __future__ import annotations

from itertools import product
from typing import get_args

import numpy as np

from cnnbench.pictures.batches import Pictures, Purpose, drawn_batch, epoch_batches, random_stream


def order(steps: int, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    """Ten pictures in batches of four."""
    return [rows.tolist() for rows in epoch_batches(10, 4, steps, seed, epoch)]


def test_an_epoch_of_a_pass_or_less_shows_no_picture_twice_and_ends_where_the_pass_does() -> None:
    assert sorted(np.concatenate(order(steps=3)).tolist()) == list(range(10))
    assert [len(rows) for rows in order(steps=3)] == [4, 4, 2]
    assert order(steps=2) == order(steps=3)[:2]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [order(steps=3, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert orders[0] == order(steps=3)
    assert all(orders[0] != other for other in orders[1:])


def test_more_steps_than_a_pass_walk_the_set_again_in_whole_batches_and_another_order() -> None:
    batches = order(steps=5)
    shown = np.concatenate(batches).tolist()
    assert [len(rows) for rows in batches] == [4] * 5
    assert sorted(shown) == sorted([*range(10), *range(10)])
    assert shown[:10] != shown[10:]


SIDE = Pictures(np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10))


def test_batches_of_a_seed_walk_through_one_order_and_pictures_keep_their_labels() -> None:
    first, second = (drawn_batch(SIDE, 5, 3, number).labels.tolist() for number in (0, 1))
    assert sorted(first + second) == list(range(10))
    assert first == drawn_batch(SIDE, 5, 3).pictures.flatten().tolist()
    assert first != drawn_batch(SIDE, 5, 4).labels.tolist()


def test_too_few_pictures_are_repeated() -> None:
    labels = drawn_batch(SIDE, 25, seed=0).labels.tolist()
    assert labels[:10] == labels[10:20]
    assert len(labels) == 25
    assert drawn_batch(SIDE, 4, 0, number=2).labels.tolist() == [*labels[8:10], *labels[:2]]


def test_timed_batches_are_in_no_order_of_an_epoch() -> None:
    side = Pictures(np.zeros((40, 1, 1, 1), np.uint8), np.arange(40))
    timed = drawn_batch(side, 40, 0).labels.tolist()
    assert all(epoch_batches(40, 40, 1, 0, epoch)[0].tolist() != timed for epoch in range(20))


def test_no_two_seeds_purposes_or_epochs_share_a_stream() -> None:
    numbers: list[tuple[int, ...]] = [(), *((epoch,) for epoch in range(20))]
    keys = list(product((0, 1), get_args(Purpose), numbers))
    drawn = [random_stream(seed, purpose, *more).random() for seed, purpose, more in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn[0] == random_stream(0, get_args(Purpose)[0]).random()
