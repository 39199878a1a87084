"""Keras' own steps on tiny pictures, as `cnnbench ab` times them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnnbench.ab import keras_steps
from cnnbench.ab.keras_steps import first_step
from cnnbench.models.seeded import seeded_model
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures, drawn_batch
from cnnbench.pictures.data_set import Splits

VARIANT = VARIANTS["single-block"]


@pytest.fixture
def batch(tiny_splits: Splits) -> Pictures:
    return drawn_batch(Pictures(tiny_splits.train_pictures(), tiny_splits.train.labels), 8, 0)


def test_each_training_step_moves_the_weights(
    tiny_splits: Splits, batch: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = seeded_model(VARIANT, 0, tiny_splits.input_shape, len(tiny_splits.classes))
    monkeypatch.setattr(keras_steps, "seeded_model", lambda *_: model)
    weights = [model.get_weights()]
    step = first_step(VARIANT, tiny_splits, "train", batch, 0)
    weights.append(model.get_weights())
    step()
    weights.append(model.get_weights())
    for before, after in itertools.pairwise(weights):
        assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_an_inference_step_answers_each_picture(tiny_splits: Splits, batch: Pictures) -> None:
    answers = first_step(VARIANT, tiny_splits, "inference", batch, 0)()
    assert isinstance(answers, np.ndarray)
    assert answers.shape == (8, 1)
