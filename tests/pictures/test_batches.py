"""The order in which a training walks through its pictures."""

from __future__ import annotations

import numpy as np

from cnnbench.pictures.batches import Pictures, drawn_batch, epoch_batches


def order(steps: int, seed: int = 0, epoch: int = 0) -> list[list[int]]:
    """Ten pictures in batches of four."""
    return [rows.tolist() for rows in epoch_batches(10, 4, steps, seed, epoch)]


def test_an_epoch_of_one_pass_shows_each_picture_once() -> None:
    assert sorted(np.concatenate(order(steps=3)).tolist()) == list(range(10))


def test_the_last_batch_of_a_pass_may_be_smaller() -> None:
    assert [len(rows) for rows in order(steps=3)] == [4, 4, 2]


def test_each_epoch_has_an_order_of_its_own() -> None:
    assert order(steps=3, epoch=0) != order(steps=3, epoch=1)


def test_each_seed_has_an_order_of_its_own() -> None:
    assert order(steps=3, seed=0) != order(steps=3, seed=1)


def test_the_same_arguments_give_the_same_order() -> None:
    assert order(steps=3, seed=5, epoch=2) == order(steps=3, seed=5, epoch=2)


def test_more_steps_than_a_pass_walk_the_set_again_in_whole_batches() -> None:
    batches = order(steps=5)
    assert [len(rows) for rows in batches] == [4] * 5
    assert sorted(np.concatenate(batches).tolist()) == sorted([*range(10), *range(10)])


def test_each_pass_has_an_order_of_its_own() -> None:
    shown = np.concatenate(order(steps=5)).tolist()
    assert shown[:10] != shown[10:]


def test_fewer_steps_than_a_pass_end_the_epoch_early() -> None:
    assert [len(rows) for rows in order(steps=2)] == [4, 4]


# What a seed draws

SIDE = Pictures(np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1), np.arange(10))


def test_drawn_pictures_keep_their_labels() -> None:
    batch = drawn_batch(SIDE, 4, seed=0)
    assert batch.pictures.flatten().tolist() == batch.labels.tolist()
    assert len(set(batch.labels.tolist())) == 4


def test_batches_of_a_seed_walk_through_one_order() -> None:
    first, second = (drawn_batch(SIDE, 5, 3, number).labels.tolist() for number in (0, 1))
    assert sorted(first + second) == list(range(10))
    assert first != drawn_batch(SIDE, 5, 4).labels.tolist()


def test_too_few_pictures_are_repeated() -> None:
    labels = drawn_batch(SIDE, 25, seed=0).labels.tolist()
    assert labels[:10] == labels[10:20]
    assert len(labels) == 25
    assert drawn_batch(SIDE, 4, 0, number=2).labels.tolist() == [*labels[8:10], *labels[:2]]
