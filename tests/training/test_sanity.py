"""Short trainings whose outcome is known beforehand."""

from __future__ import annotations

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
    shuffled_labels,
    train_on_shuffled,
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
    mixed = shuffled_labels(tiny_splits, seed=0)
    shares = [mixed[tiny_splits.train.labels == label].mean() for label in (0, 1)]
    assert shares == [0.5, 0.5]


def test_shuffled_labels_depend_on_the_seed(tiny_splits: Splits) -> None:
    first, second = (shuffled_labels(tiny_splits, seed) for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_shuffled_labels_stay_at_chance(tiny_splits: Splits) -> None:
    protocol = Protocol("one-pass", epochs=10)
    run = train_on_shuffled(VARIANTS["documented"], tiny_splits, 0, protocol, PLACE, lambda _: None)
    assert run.steps == 3 * 3  # bounded to three epochs of three steps
    assert run.accuracy <= 0.75  # 48 pictures: luck alone reaches 0.67 in 1 % of cases
