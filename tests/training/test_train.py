"""A training run: what it records, and that it is a function of its seed."""

import math
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pytest
from tiny import write_pictures

from cnnbench.machine.environment import usable_cpus
from cnnbench.models.evaluation import evaluate_side
from cnnbench.models.network import seeded_model, targets_for
from cnnbench.models.variants import VARIANTS, Variant
from cnnbench.pictures.batches import Pictures, epoch_batches
from cnnbench.pictures.data_set import load_splits
from cnnbench.training.protocols import PROTOCOLS, Protocol
from cnnbench.training.train import train

SMALL = Variant("small", blocks=(4,), dense_units=8)


def run_of(variant, splits, epochs=2):
    return train(variant, splits, epochs=epochs).run


def flipped(splits):
    """Returns splits of two classes whose held-out labels are all wrong."""
    wrong = replace(splits.validation, labels=1 - splits.validation.labels)
    return replace(splits, validation=wrong)


@pytest.fixture(scope="module")
def run(tiny_splits):
    return run_of(SMALL, tiny_splits)


def test_the_record_says_what_was_trained_and_what_came_out(run, tiny_splits):
    key = (run.variant, run.seed, run.backend, run.device, run.dtype, run.batch_size, run.protocol)
    assert key == ("small", 0, "tensorflow", "cpu", "float32", 32, "one-pass")
    assert run.threads == usable_cpus()
    assert run.steps_per_epoch == math.ceil(len(tiny_splits.train.names) / 32)
    assert run.initial_loss == pytest.approx(math.log(2), abs=0.1)  # it knows nothing yet
    assert run.unchanged_weights == ()
    curves = {name: len(values) for name, values in run.history.items()}
    assert curves == dict.fromkeys(("accuracy", "loss", "val_accuracy", "val_loss"), 2)
    assert run.val_loss == run.history["val_loss"][-1]
    said = np.array(run.val_probabilities)[:, 0] > 0.5
    assert float((said == (tiny_splits.validation.labels == 1)).mean()) == run.val_accuracy


def test_the_same_again_gives_the_same_bits_whatever_is_held_out(run, tiny_splits):
    keras.random.normal((3,))  # what was drawn before does not matter
    again = run_of(SMALL, flipped(tiny_splits))
    assert again.weights_sha256 == run.weights_sha256
    assert again.val_probabilities == run.val_probabilities
    assert again.initial_loss == run.initial_loss
    assert again.val_accuracy == pytest.approx(1 - run.val_accuracy)


def test_functional_trains_to_the_same_bits(run, tiny_splits):
    functional = run_of(replace(SMALL, api="functional"), tiny_splits)
    assert functional.weights_sha256 == run.weights_sha256


def test_another_seed_gives_another_network_and_progress_is_reported(run, tiny_splits):
    reported: list[dict[str, Any]] = []
    other = train(SMALL, tiny_splits, seed=1, epochs=2, progress=reported.append)
    assert other.run.weights_sha256 != run.weights_sha256
    assert [(at["epoch"], at["epochs"]) for at in reported] == [(1, 2), (2, 2)]


def test_early_stopping_keeps_the_best_weights_and_looks_at_no_held_out_picture(
    tmp_path, own_cache
):
    folder = write_pictures(tmp_path / "noisy", wrong_labels=0.5)
    splits = load_splits(folder, image_size=24, cache=own_cache)
    variant = replace(SMALL, early_stopping_patience=2, learning_rate=0.03)
    run, other = (run_of(variant, one, epochs=40) for one in (splits, flipped(splits)))
    best = int(np.argmin(run.history["monitor_loss"]))
    assert run.epochs == best + 1 + 2 < 40
    assert run.val_loss == run.history["val_loss"][best]
    assert other.weights_sha256 == run.weights_sha256


def test_the_best_weights_are_kept_where_training_does_not_stop_early(tiny_splits):
    variant = replace(SMALL, early_stopping_patience=9, learning_rate=0.05)
    step = keras.Model.train_on_batch
    with patch.object(keras.Model, "train_on_batch", autospec=True, side_effect=step) as steps:
        trained = train(variant, tiny_splits, epochs=5)
    run = trained.run
    best = int(np.argmin(run.history["monitor_loss"]))
    assert run.epochs == 5
    assert run.val_loss == run.history["val_loss"][best]
    shown = {picture.tobytes() for call in steps.call_args_list for picture in call.args[1]}
    side = Pictures(tiny_splits.train_pictures(), tiny_splits.train.labels)
    watched = side.taken(np.array([one.tobytes() not in shown for one in side.pictures]))
    assert len(watched.labels) == 20  # what picks an epoch is not trained on
    assert evaluate_side(trained.model, watched).loss == run.history["monitor_loss"][best]


@pytest.mark.parametrize(
    "variant",
    [
        replace(SMALL, batch_normalization=True),
        *(
            pytest.param(VARIANTS[name], marks=pytest.mark.slow)
            for name in ("documented", "dropout", "batchnorm")
        ),
    ],
    ids=lambda variant: variant.name,
)
def test_curves_are_those_of_keras_fit(variant, tiny_splits):
    protocol = Protocol("one-pass", epochs=2, batch_size=36)  # 36, 36 and 24 pictures
    run = train(variant, tiny_splits, protocol=protocol).run
    model = seeded_model(variant, 0, tiny_splits.input_shape, 2)
    pictures = tiny_splits.train_pictures()
    targets = targets_for(model, tiny_splits.train.labels)
    held_out = targets_for(model, tiny_splits.validation.labels)
    batches = [rows for epoch in (0, 1) for rows in epoch_batches(96, 36, 3, 0, epoch)]
    fitted = model.fit(
        ((pictures[rows], targets[rows]) for rows in batches),
        steps_per_epoch=3,
        shuffle=False,
        epochs=2,
        validation_data=(tiny_splits.validation_pictures(), held_out),
        verbose=0,
    )
    assert set(run.history) == set(fitted.history)
    for curve, values in fitted.history.items():
        assert run.history[curve] == pytest.approx(values, abs=1e-6), curve


def test_a_loss_that_is_not_finite_stops_training_and_is_named(tiny_splits):
    run = run_of("faults:nan_once", tiny_splits, epochs=3)
    assert (run.non_finite, run.epochs) == ((2, 2), 2)
    assert math.isnan(run.history["loss"][1])


def test_frozen_layers_are_named(tiny_splits):
    assert len(run_of("faults:frozen", tiny_splits, epochs=1).unchanged_weights) == 6


def test_the_documented_protocol_counts_steps_and_walks_the_set_again_with_three_classes(
    tmp_path, own_cache
):
    folder = write_pictures(tmp_path / "three", ("cats", "dogs", "owls"))
    splits = load_splits(folder, image_size=24, cache=own_cache)
    scaled = PROTOCOLS["documented"].scaled(epochs=2, steps_per_epoch=9, validation_steps=3)
    run = train("single-block", splits, protocol=scaled).run
    assert (run.protocol, run.epochs, run.steps_per_epoch) == ("documented", 2, 9)
    assert run.initial_loss == pytest.approx(math.log(3), abs=0.15)
    assert len(run.val_probabilities[0]) == 3
    assert run.val_accuracy > 0.6
    right = np.array(run.val_probabilities)[range(72), splits.validation.labels]
    walked = -np.log([*right, *right[:24]]).mean()  # 3 batches of 32: all 72, then 24 of them again
    assert run.history["val_loss"][-1] == pytest.approx(walked)
