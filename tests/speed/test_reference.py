"""The answers that measurements are compared with, of real models on tiny pictures."""

import math

import numpy as np
import pytest

from cnnbench.models.evaluation import evaluate_side
from cnnbench.models.network import targets_for
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures, drawn_batch
from cnnbench.records.records import Agreement
from cnnbench.speed import reference
from cnnbench.speed.engines.keras_model import model_of
from cnnbench.speed.reference import ROUNDING, TRAINED_STEPS, TRIES, Reference, agreement_of

SINGLE = VARIANTS["single-block"]
LABELS = np.array([0, 0, 1, 1])
SIGMOID = np.array([[0.25], [0.75], [0.75], [0.875]], np.float32)
SOFTMAX = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32)


def assert_same(found, known):
    for one, other in zip(found, known, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


# Agreement


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Agreement(4, 1.0, 0.0, 0.0)),
        ({0: 0.375, 3: 0.8125}, Agreement(4, 1.0, 0.125, 0.0)),  # the largest difference counts
        ({1: 0.25}, Agreement(4, 0.75, 0.5, 0.25)),  # right where the reference is wrong
        ({2: 0.25}, Agreement(4, 0.75, 0.5, -0.25)),
        # What is no number is wrong, and off by one.
        ({0: math.nan}, Agreement(4, 0.75, 1.0, -0.25)),
        ({0: math.inf}, Agreement(4, 0.75, 1.0, -0.25)),
    ],
)
def test_agreement_with_the_reference(changes, expected):
    answers = SIGMOID.copy()
    for row, value in changes.items():
        answers[row] = value
    assert agreement_of(answers, SIGMOID, LABELS) == expected


def test_classes_of_a_softmax_are_compared():
    found = agreement_of(SOFTMAX[::-1], SOFTMAX, np.array([0, 1]))
    assert (found.equal_share, found.accuracy_difference) == (0.0, -1.0)


# Files


def test_a_reference_is_read_as_it_was_written(tmp_path):
    weights = tuple(np.full((2, 3), number, np.float32) for number in range(12))
    known = Reference(
        answers={
            "inference": reference.Answers(weights, SIGMOID),
            "train": reference.Answers(weights[:1], SIGMOID / 2, 6, 3, 1e-7),
        },
        flops={"inference": 1e6, "train": None},
        not_compared="by chance",
    )
    known.save(tmp_path / "reference.npz")
    found = Reference.load(tmp_path / "reference.npz")
    assert (found.flops, found.not_compared) == (known.flops, known.not_compared)
    assert list(found.answers) == ["inference", "train"]
    for workload, made in found.answers.items():
        other = known.answers[workload]
        assert_same((made.probabilities, *made.weights), (other.probabilities, *other.weights))
        numbers = (made.first_batch, made.steps, made.rounding)
        assert numbers == (other.first_batch, other.steps, other.rounding)


# Answers of real models


def made(splits, workload, variant=SINGLE, weights=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "WARM_UP_STEPS", 3)
        return reference.make_reference(variant, splits, workload, 8, 0, weights)


@pytest.fixture(scope="module")
def trained(tiny_splits):
    return made(tiny_splits, "train")


def answers_of(model, splits):
    held_out = Pictures(splits.validation_pictures(), splits.validation.labels)
    return evaluate_side(model, held_out).probabilities


def test_inference_is_answered_with_the_weights_that_are_given_on(tiny_splits, trained):
    still = made(tiny_splits, "inference")
    assert list(still.answers) == ["inference"]
    found = still.answers["inference"]
    model = model_of(SINGLE, 1, tiny_splits.input_shape, 2, "float32", found.weights)
    np.testing.assert_array_equal(found.probabilities, answers_of(model, tiny_splits))
    np.testing.assert_array_equal(found.probabilities, trained.answers["inference"].probabilities)
    assert still.not_compared == trained.not_compared == ""


def test_training_is_that_of_a_new_network_step_by_step(tiny_splits, trained):
    found = trained.answers["train"]
    model = model_of(SINGLE, 0, tiny_splits.input_shape, 2)
    assert_same(found.weights, model.get_weights())
    side = Pictures(tiny_splits.train_pictures(), tiny_splits.train.labels)
    for number in range(found.first_batch, found.first_batch + found.steps):
        batch = drawn_batch(side, 8, 0, number)
        model.train_on_batch(batch.pictures, targets_for(model, batch.labels))
    np.testing.assert_array_equal(found.probabilities, answers_of(model, tiny_splits))
    assert found.rounding <= ROUNDING
    assert trained.flops["train"] > 2 * trained.flops["inference"] > 0


def test_trained_weights_are_taken_and_training_that_draws_numbers_is_not_compared(
    tiny_splits, tmp_path
):
    model = model_of(VARIANTS["dropout"], 7, tiny_splits.input_shape, 2)
    reference.save_weights(model.get_weights(), tmp_path / "weights.npz")
    found = made(tiny_splits, "train", VARIANTS["dropout"], tmp_path / "weights.npz")
    assert_same(found.answers["inference"].weights, model.get_weights())
    assert "train" not in found.answers
    assert found.not_compared == "training draws random numbers, which no two backends draw alike"


# Which steps are asked about, by answers that were thought out

BEGUN = (np.ones((4, 4), np.float32),)
MOST, FEWEST = TRAINED_STEPS


def answered(sensitive: int, undecided: int = 0):
    """Returns what trains, and leaves things open in its first tries.

    Of the first `sensitive` tries, rounding decides what comes out, and the classes of the first
    `undecided` hang in the balance.
    """

    def trained(begun, first, steps):
        number = first // steps + (TRIES if steps == FEWEST else 0)
        by_rounding = 1e3 if number < sensitive else 1.0
        answer = 0.5 if number < undecided else 0.75
        return np.full((2, 1), answer, np.float32) + by_rounding * (begun[0] - 1).max()

    return trained


@pytest.mark.parametrize(
    ("sensitive", "undecided", "first_batch", "steps"),
    [
        (0, 0, 0, MOST),
        (2, 0, 2 * MOST, MOST),  # batches of which rounding decides are passed over,
        (0, 3, 3 * MOST, MOST),  # and those that leave answers in the balance,
        (1, 2 * TRIES, MOST, MOST),  # unless there are no others
        (TRIES + 1, 0, FEWEST, FEWEST),  # one step, where rounding decides two
    ],
)
def test_the_first_batches_that_decide_the_answers_are_taken(
    sensitive, undecided, first_batch, steps
):
    found = reference.training_answers(BEGUN, answered(sensitive, undecided), 0)
    assert (found.first_batch, found.steps) == (first_batch, steps)
    assert 0 < found.rounding <= ROUNDING
    value = 0.5 if undecided == 2 * TRIES else 0.75
    np.testing.assert_array_equal(found.probabilities, np.full((2, 1), value))


def test_training_that_rounding_decides_each_time_is_not_compared(tiny_splits, monkeypatch):
    monkeypatch.setattr(reference, "ROUNDING", -1.0)
    monkeypatch.setattr(reference, "TRIES", 1)
    found = made(tiny_splits, "train")
    assert list(found.answers) == ["inference"]
    assert found.not_compared.startswith("rounding alone decides")


def test_an_answer_near_another_class_is_undecided():
    assert reference.undecided_share(np.array([[0.49], [0.52], [0.6], [0.1]])) == 0.5
    assert reference.undecided_share(np.array([[0.48, 0.5, 0.02], [0.1, 0.1, 0.8]])) == 0.5


def test_one_change_that_shows_nothing_is_not_enough():
    seen = 0

    def trained(begun, first, steps):
        nonlocal seen
        seen += 1
        tie = 0.1 if first == 0 and seen == 1 + 4 else 0.0  # only the fourth change shows the tie
        return np.full((2, 1), 0.75 + tie, np.float32)

    assert reference.training_answers(BEGUN, trained, 0, changes=4).first_batch == MOST
