"""The answers that measurements are held against, of real models on tiny pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cnnbench import reference
from cnnbench.agreement import Reference, load_weights, save_weights
from cnnbench.batches import Pictures
from cnnbench.engines.keras_model import model_of
from cnnbench.evaluation import evaluate
from cnnbench.images.dataset import Splits
from cnnbench.measurements import Workload
from cnnbench.reference import TRAINED_STEPS, make_reference
from cnnbench.variants import VARIANTS, Variant

SINGLE = VARIANTS["single-block"]


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "WARM_UP_STEPS", 3)
        yield


@pytest.fixture(scope="module")
def still(tiny_splits: Splits) -> Reference:
    return made(tiny_splits)


@pytest.fixture(scope="module")
def trained(tiny_splits: Splits) -> Reference:
    return made(tiny_splits, "train")


def made(
    splits: Splits,
    workload: Workload = "inference",
    variant: Variant = SINGLE,
    weights: Path | None = None,
) -> Reference:
    return make_reference(variant, splits, workload, 8, 0, weights)


def test_inference_is_answered_with_the_weights_that_are_given_on(
    tiny_splits: Splits, still: Reference
) -> None:
    model = model_of(SINGLE, 1, tiny_splits.input_shape, 2, "float32", still.weights)
    held_out = Pictures(tiny_splits.validation_pictures(), tiny_splits.validation.labels)
    np.testing.assert_array_equal(still.probabilities, evaluate(model, held_out).probabilities)
    assert (still.trained, still.trained_steps) == (None, 0)


def test_the_same_arguments_give_the_same_answers(tiny_splits: Splits, trained: Reference) -> None:
    one, other = trained, made(tiny_splits, "train")
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert one.trained is not None
    assert other.trained is not None
    np.testing.assert_array_equal(one.trained, other.trained)


def test_training_begins_with_the_weights_of_inference(
    trained: Reference, still: Reference
) -> None:
    for one, other in zip(trained.weights, still.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert trained.trained_steps == TRAINED_STEPS
    np.testing.assert_array_equal(trained.probabilities, still.probabilities)
    assert trained.trained is not None
    assert np.abs(trained.trained - still.probabilities).max() > 1e-4


def test_trained_weights_are_taken(tiny_splits: Splits, tmp_path: Path) -> None:
    model = model_of(SINGLE, 7, tiny_splits.input_shape, 2, "float32")
    save_weights(model.get_weights(), tmp_path / "weights.npz")
    found = made(tiny_splits, weights=tmp_path / "weights.npz")
    for one, other in zip(found.weights, load_weights(tmp_path / "weights.npz"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_that_draws_numbers_is_not_compared(tiny_splits: Splits) -> None:
    found = made(tiny_splits, "train", VARIANTS["dropout"])
    assert (found.trained, found.trained_steps) == (None, TRAINED_STEPS)
    assert len(found.probabilities) == len(tiny_splits.validation.names)


def test_operations_are_counted(still: Reference) -> None:
    assert still.inference_flops
    assert still.training_flops
    assert still.training_flops > 2 * still.inference_flops
