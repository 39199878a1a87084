"""Keras' own steps on tiny pictures, as `cnnbench ab` times them."""

from __future__ import annotations

import numpy as np
import pytest

from cnnbench import keras_steps
from cnnbench.batches import Pictures, drawn_batch
from cnnbench.images.dataset import Splits
from cnnbench.keras_steps import make_first_step
from cnnbench.variants import VARIANTS


@pytest.fixture
def batch(tiny_splits: Splits) -> Pictures:
    return drawn_batch(Pictures(tiny_splits.train_pictures(), tiny_splits.train.labels), 8, 0)


def test_a_training_step_moves_the_weights(tiny_splits: Splits, batch: Pictures) -> None:
    made = make_first_step(VARIANTS["single-block"], tiny_splits, "train", batch, 0)
    before = made.model.get_weights()
    made.step()
    assert any((a != b).any() for a, b in zip(before, made.model.get_weights(), strict=True))


def test_an_inference_step_answers_each_picture(tiny_splits: Splits, batch: Pictures) -> None:
    made = make_first_step(VARIANTS["single-block"], tiny_splits, "inference", batch, 0)
    answers = made.step()
    assert isinstance(answers, np.ndarray)
    assert answers.shape == (8, 1)


def test_the_first_step_is_dearer_than_the_next(tiny_splits: Splits, batch: Pictures) -> None:
    made = make_first_step(VARIANTS["single-block"], tiny_splits, "train", batch, 0)
    assert made.seconds > 0.01  # it builds and compiles


def test_steps_train_on_whole_batches(
    tiny_splits: Splits, batch: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    real = keras_steps.seeded_model

    def spying(*arguments: object) -> object:
        model = real(*arguments)  # type: ignore[arg-type]
        step = model.train_on_batch

        def train_on_batch(pictures: np.ndarray, targets: np.ndarray) -> object:
            seen.append((*pictures.shape, len(targets)))
            return step(pictures, targets)

        model.train_on_batch = train_on_batch
        return model

    monkeypatch.setattr(keras_steps, "seeded_model", spying)
    made = make_first_step(VARIANTS["single-block"], tiny_splits, "train", batch, 0)
    made.step()
    assert seen == [(8, 24, 24, 3, 8)] * 2
