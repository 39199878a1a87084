"""The stream of batches that a training walks through."""

from __future__ import annotations

import numpy as np

from cnnbench.batches import Batches


def stream(steps: int, seed: int | None, count: int = 10, batch_size: int = 4) -> Batches:
    pictures = np.arange(count)
    return Batches(pictures, pictures, batch_size, steps, seed)


def test_an_epoch_of_one_pass_shows_each_picture_once() -> None:
    batches = stream(steps=3, seed=0)
    shown = np.concatenate([batches[i][0] for i in range(3)])
    assert sorted(shown) == list(range(10))


def test_each_epoch_has_an_order_of_its_own() -> None:
    batches = stream(steps=3, seed=0)
    assert batches[0][0].tolist() != batches[3][0].tolist()


def test_a_batch_depends_on_the_seed_and_its_number_alone() -> None:
    forwards, backwards = stream(steps=3, seed=5), stream(steps=3, seed=5)
    ahead = [forwards[i][0].tolist() for i in range(9)]
    behind = [backwards[i][0].tolist() for i in reversed(range(9))]
    assert ahead == behind[::-1]


def test_more_steps_than_a_pass_walk_the_set_again_in_whole_batches() -> None:
    batches = stream(steps=5, seed=0)
    sizes = [len(batches[i][0]) for i in range(5)]
    assert sizes == [4] * 5


def test_fewer_steps_than_a_pass_end_the_epoch_early() -> None:
    batches = stream(steps=1, seed=0)
    assert batches[0][0].tolist() != batches[1][0].tolist()


def test_without_a_seed_the_order_is_kept() -> None:
    batches = stream(steps=3, seed=None)
    assert np.concatenate([batches[i][0] for i in range(3)]).tolist() == list(range(10))


def test_pictures_and_targets_stay_together() -> None:
    pictures, targets = stream(steps=3, seed=1)[1]
    assert pictures.tolist() == targets.tolist()
