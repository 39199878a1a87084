import math

import numpy as np
import pytest

from cnnbench.records.records import Agreement
from cnnbench.speed.reference import (
    Reference,
    TrainingAnswers,
    agreement_of,
    load_weights,
    save_weights,
)

LABELS = np.array([0, 0, 1, 1])
SIGMOID = np.array([[0.25], [0.75], [0.75], [0.875]], np.float32)
SOFTMAX = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32)
WEIGHTS = (np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(3, np.float32))


def test_equal_answers_agree():
    assert agreement_of(SIGMOID, SIGMOID, LABELS) == Agreement(4, 1.0, 0.0, 0.0)


def test_the_largest_difference_counts():
    other = SIGMOID + np.array([[0.125], [0], [0], [-0.0625]], np.float32)
    found = agreement_of(other, SIGMOID, LABELS)
    assert (found.equal_share, found.probability_difference) == (1.0, 0.125)


def test_accuracy_is_less_the_references():
    better = np.array([[0.25], [0.25], [0.75], [0.875]], np.float32)
    assert agreement_of(better, SIGMOID, LABELS) == Agreement(4, 0.75, 0.5, 0.25)
    assert agreement_of(SIGMOID, better, LABELS).accuracy_difference == -0.25


def test_classes_of_a_softmax_are_compared():
    found = agreement_of(SOFTMAX[::-1], SOFTMAX, np.array([0, 1]))
    assert (found.equal_share, found.accuracy_difference) == (0.0, -1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_no_number_is_wrong_and_off_by_one(value):
    broken = SIGMOID.copy()
    broken[0] = value  # right before: 0.25 of class 0
    found = agreement_of(broken, SIGMOID, LABELS)
    assert found == Agreement(4, 0.75, 1.0, -0.25)


def test_a_reference_is_read_as_it_was_written(tmp_path):
    training = TrainingAnswers(tuple(2 * one for one in WEIGHTS), SIGMOID / 2, 6, 3, 1e-7)
    Reference(WEIGHTS, SIGMOID, training, 1e6, 3e6).save(tmp_path / "reference.npz")
    found = Reference.load(tmp_path / "reference.npz")
    assert (found.inference_flops, found.training_flops, found.not_compared) == (1e6, 3e6, "")
    np.testing.assert_array_equal(found.probabilities, SIGMOID)
    assert_same(found.weights, WEIGHTS)
    numbers = ("first_batch", "steps", "rounding")
    assert [getattr(found.training, name) for name in numbers] == [6, 3, 1e-7]
    np.testing.assert_array_equal(found.training.probabilities, SIGMOID / 2)
    assert_same(found.training.weights, training.weights)


def test_a_reference_without_training_says_why(tmp_path):
    Reference(WEIGHTS, SIGMOID, None, None, None, "by chance").save(tmp_path / "reference.npz")
    found = Reference.load(tmp_path / "reference.npz")
    assert (found.inference_flops, found.training_flops, found.training) == (None, None, None)
    assert found.not_compared == "by chance"


def test_more_than_ten_weights_keep_their_order(tmp_path):
    weights = [np.full(2, number) for number in range(12)]
    save_weights(weights, tmp_path / "weights.npz")
    assert_same(load_weights(tmp_path / "weights.npz"), weights)


def assert_same(found, known):
    for one, other in zip(found, known, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
