"""Accuracy and loss, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnnbench.models.evaluation import EVALUATION_BATCH_SIZE, evaluate_side
from cnnbench.pictures.batches import Pictures


class Answers:
    """Stands in for a model: answers with given probabilities, in order."""

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = np.array(rows, dtype=np.float32)

    def predict_on_batch(self, pictures: np.ndarray) -> np.ndarray:
        return self.rows[pictures[:, 0, 0, 0].astype(int)]


def side(labels: list[int]) -> Pictures:
    numbers = np.arange(len(labels)).reshape(-1, 1, 1, 1)
    return Pictures(numbers, np.array(labels))


def test_a_sigmoid_is_the_probability_of_the_second_class() -> None:
    result = evaluate_side(Answers([[0.75], [0.75], [0.25], [0.25]]), side([1, 0, 0, 1]))
    assert result.accuracy == 0.5
    assert result.loss == pytest.approx(-(2 * math.log(0.75) + 2 * math.log(0.25)) / 4)


def test_a_softmax_has_a_probability_for_each_class() -> None:
    result = evaluate_side(Answers([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]), side([0, 1]))
    assert result.accuracy == 0.5
    assert result.loss == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_nan_is_never_correct() -> None:
    result = evaluate_side(Answers([[math.nan], [math.nan]]), side([0, 1]))
    assert result.accuracy == 0.0
    assert math.isnan(result.loss)


def test_the_mean_is_over_pictures_and_not_over_batches() -> None:
    count = EVALUATION_BATCH_SIZE + 1
    result = evaluate_side(Answers([[0.9]] * EVALUATION_BATCH_SIZE + [[0.1]]), side([1] * count))
    assert result.accuracy == pytest.approx(EVALUATION_BATCH_SIZE / count)


def test_answers_that_are_no_probabilities_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"end it with a sigmoid or a softmax.*from -3 to 2"):
        evaluate_side(Answers([[-3.0], [2.0]]), side([0, 1]))
