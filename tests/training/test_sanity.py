"""Short trainings whose outcome is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from few import few_or_all

from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.pictures.data_set import Splits
from cnnbench.training.protocols import Protocol
from cnnbench.training.sanity import (
    MEMORIZATION_STEPS,
    memorize,
    train_on_shuffled,
    with_shuffled_labels,
)

PLACE = Place("tensorflow", "cpu", 1)


@pytest.mark.parametrize("name", few_or_all(VARIANTS))
def test_every_variant_learns_a_tiny_batch_by_heart(name: str, tiny_splits: Splits) -> None:
    run = memorize(VARIANTS[name], tiny_splits, 0, PLACE)
    assert run.accuracy == 1.0
    assert run.loss < 0.1


def test_a_constant_network_learns_nothing_by_heart(tiny_splits: Splits) -> None:
    run = memorize(variant_named("faults:constant"), tiny_splits, 0, PLACE)
    assert run.steps == MEMORIZATION_STEPS
    assert run.accuracy == 0.5


def test_shuffled_labels_are_the_same_mixture_in_every_class(tiny_splits: Splits) -> None:
    first, second = (with_shuffled_labels(tiny_splits, seed) for seed in (0, 1))
    labels = tiny_splits.train.labels
    assert [first.train.labels[labels == label].mean() for label in (0, 1)] == [0.5, 0.5]
    assert not np.array_equal(first.train.labels, second.train.labels)
    assert vars(replace(first, train=tiny_splits.train)) == vars(tiny_splits)


def test_shuffled_labels_stay_at_chance(tiny_splits: Splits) -> None:
    protocol = Protocol("one-pass", epochs=10)
    run = train_on_shuffled(VARIANTS["documented"], tiny_splits, 0, protocol, PLACE, lambda _: None)
    assert run.steps == 3 * 3  # bounded to three epochs of three steps
    assert run.accuracy <= 0.75  # 48 pictures: luck alone reaches 0.67 in 1 % of cases
