"""How a model answers, against values worked out by hand."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import layers

from cnnbench.models import evaluation
from cnnbench.models.evaluation import dead_units, evaluate_side, prediction_difference
from cnnbench.pictures.batches import Pictures

BATCH = evaluation.EVALUATION_BATCH_SIZE


class Answers:
    """Stands in for a model: answers with given probabilities, in order."""

    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = np.array(rows, dtype=np.float32)

    def predict_on_batch(self, pictures: np.ndarray) -> np.ndarray:
        return self.rows[pictures[:, 0, 0, 0].astype(int)]


def side(labels: list[int]) -> Pictures:
    return Pictures(np.arange(len(labels)).reshape(-1, 1, 1, 1), np.array(labels))


@pytest.mark.parametrize(
    ("answers", "labels", "accuracy", "of_true"),
    [
        ([[0.75], [0.625], [0.25], [0.125]], [1, 0, 0, 1], 0.5, [0.75, 0.375, 0.75, 0.125]),
        ([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]], [0, 1], 0.5, [0.5, 0.25]),
        ([[0.9]] * BATCH + [[0.1]], [1] * (BATCH + 1), BATCH / (BATCH + 1), [0.9] * BATCH + [0.1]),
    ],
    ids=["sigmoid", "softmax", "two batches"],
)
def test_accuracy_and_loss_are_means_over_pictures(answers, labels, accuracy, of_true) -> None:
    result = evaluate_side(Answers(answers), side(labels))
    assert result.accuracy == pytest.approx(accuracy)
    assert result.loss == pytest.approx(-sum(map(math.log, of_true)) / len(of_true))


def test_nan_is_never_correct() -> None:
    result = evaluate_side(Answers([[math.nan], [math.nan]]), side([0, 1]))
    assert result.accuracy == 0.0
    assert math.isnan(result.loss)


def test_answers_that_are_no_probabilities_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"end it with a sigmoid or a softmax.*from -3 to 2"):
        evaluate_side(Answers([[-3.0], [2.0], [math.nan]]), side([0, 1, 1]))


# Repeatable answers


def test_the_largest_difference_counts() -> None:
    model, pictures = Answers([[0.5]] * 9), side([0] * 9).pictures
    probabilities = np.full((9, 1), 0.5)
    assert prediction_difference(model, pictures, probabilities) == 0.0
    probabilities[[3, 5], 0] += [0.125, -0.25]
    assert prediction_difference(model, pictures, probabilities) == 0.25


def test_only_the_first_batch_is_predicted_again() -> None:
    probabilities = np.full((BATCH + 1, 1), 0.5)
    probabilities[BATCH] = 1.0
    model, pictures = Answers([[0.5]] * BATCH), side([0] * (BATCH + 1)).pictures
    assert prediction_difference(model, pictures, probabilities) == 0.0


@pytest.mark.parametrize(("before", "difference"), [(0.5, np.inf), (np.nan, 0.0)])
def test_answers_that_are_nan_once_only_differ(before: float, difference: float) -> None:
    model, pictures = Answers([[np.nan]]), side([0]).pictures
    assert prediction_difference(model, pictures, np.array([[before]])) == difference


# Dead units


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 12, 12, 3), np.uint8)


def convolution(filters: int = 4, dead: int = 0, activation: str | None = "relu", **more):
    """Returns a built convolution of which some channels are zero for any picture."""
    layer = layers.Conv2D(filters, 3, activation=activation, **more)
    layer.build((None, 12, 12, 3))
    bias = np.where(np.arange(filters) < dead, -10.0, 10.0)
    layer.set_weights([np.zeros((3, 3, 3, filters)), bias])
    return layer


def sequential(*stack):
    return keras.Sequential([keras.Input((12, 12, 3)), layers.Rescaling(1 / 255), *stack])


def with_branches() -> keras.Model:
    inputs = keras.Input((12, 12, 3))
    branches = [convolution(4, dead, name=f"dead-{dead}")(inputs) for dead in (1, 3)]
    return keras.Model(inputs, layers.Concatenate()(branches))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first = convolution(4, dead=1, name="first")

    def call(self, pictures):
        return self.first(keras.ops.cast(pictures, "float32"))


@pytest.mark.parametrize(
    ("make", "shares"),
    [
        (lambda: sequential(convolution(4, dead=1, name="first")), {"first": 0.25}),
        (lambda: sequential(convolution(4, activation="elu"), layers.Conv2D(4, 3)), {}),
        (with_branches, {"dead-1": 0.25, "dead-3": 0.75}),
        (lambda: sequential(sequential(convolution(4, dead=1, name="inner"))), {"inner": 0.25}),
        (Subclassed, {"first": 0.25}),
    ],
    ids=["convolution", "no relu", "branches", "nested", "subclassed"],
)
def test_channels_that_are_zero_everywhere_are_dead(pictures, make, shares) -> None:
    assert dead_units(make(), pictures) == shares


def test_a_channel_that_lives_on_one_picture_is_not_dead() -> None:
    # The kernel adds up brightness: only the last picture, of the last batch, exceeds the bias.
    layer = convolution(1)
    layer.set_weights([np.ones((3, 3, 3, 1)), np.full(1, -1.0)])
    dark = np.zeros((70, 12, 12, 3), np.uint8)
    model = sequential(layer)
    assert list(dead_units(model, dark).values()) == [1.0]
    dark[69, 11, 11] = 255
    assert list(dead_units(model, dark).values()) == [0.0]


def test_neurons_of_a_dense_layer_are_units(pictures) -> None:
    dense = layers.Dense(4, activation="relu", name="dense")
    model = sequential(layers.Flatten(), dense)
    dense.set_weights([np.zeros((432, 4)), np.array([-1.0, -1.0, 1.0, 0.0])])
    assert dead_units(model, pictures) == {"dense": 0.75}


@pytest.mark.parametrize(
    "relu", [layers.ReLU(), layers.Activation("relu"), layers.Activation("relu6")], ids=str
)
def test_a_relu_may_be_a_layer_of_its_own(pictures, relu) -> None:
    model = sequential(convolution(4, dead=2, activation=None), relu)
    assert dead_units(model, pictures) == {relu.name: 0.5}
