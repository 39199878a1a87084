"""Short trainings whose outcome is known beforehand."""

from dataclasses import replace

import numpy as np
import pytest

from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.training import sanity
from cnnbench.training.protocols import Protocol
from cnnbench.training.sanity import memorize, train_on_shuffled, with_shuffled_labels

PLACE = Place("tensorflow", "cpu", 1)


@pytest.mark.parametrize(
    "name",
    ["batchnorm", *(pytest.param(n, marks=pytest.mark.slow) for n in VARIANTS if n != "batchnorm")],
)
def test_every_variant_learns_a_tiny_batch_by_heart(name, tiny_splits):
    run = memorize(VARIANTS[name], tiny_splits, 0, PLACE)
    assert run.accuracy == 1.0
    assert run.loss < 0.1


def test_a_constant_network_learns_nothing_by_heart(tiny_splits, monkeypatch):
    monkeypatch.setattr(sanity, "MEMORIZATION_STEPS", 20)
    run = memorize(variant_named("faults:constant"), tiny_splits, 0, PLACE)
    assert run.steps == 20
    assert run.accuracy == 0.5


def test_shuffled_labels_are_the_same_mixture_in_every_class(tiny_splits):
    first, second = (with_shuffled_labels(tiny_splits, seed) for seed in (0, 1))
    labels = tiny_splits.train.labels
    assert [first.train.labels[labels == label].mean() for label in (0, 1)] == [0.5, 0.5]
    assert not np.array_equal(first.train.labels, second.train.labels)
    assert vars(replace(first, train=tiny_splits.train)) == vars(tiny_splits)


def test_shuffled_labels_stay_at_chance(tiny_splits):
    protocol = Protocol("one-pass", epochs=10)
    run = train_on_shuffled(VARIANTS["single-block"], tiny_splits, 0, protocol, PLACE, print)
    assert run.steps == 3 * 3  # bounded to three epochs of three steps
    assert run.accuracy <= 0.75  # 48 pictures: luck alone reaches 0.67 in 1 % of cases
