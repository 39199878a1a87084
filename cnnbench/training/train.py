"""One training under one seed. What passes and what fails is decided elsewhere."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from cnnbench.machine.backends import Place, place_of_this_process
from cnnbench.models.evaluation import dead_units, evaluate_side, prediction_difference
from cnnbench.models.network import seeded_model, targets_for
from cnnbench.models.variants import Variant, variant_named
from cnnbench.pictures.batches import Pictures, epoch_batches, random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import TrainingRun
from cnnbench.training.protocols import Protocol, protocol_named

INITIAL_LOSS_PICTURES = 256
INSPECTED_PICTURES = 128  # for dead units; twice as many take 0.25 s a training
MONITOR_SHARE = 0.2

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Trained:
    """A trained model, the record of its training, and what it needs to be used again."""

    run: TrainingRun
    model: keras.Model
    variant: Variant = field(repr=False)
    protocol: Protocol = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    input_shape: tuple[int, int, int] = field(repr=False)


def train(
    variant: Variant | str,
    splits: Splits,
    seed: int = 0,
    *,
    protocol: Protocol | str = "one-pass",
    epochs: int | None = None,
    place: Place | None = None,
    progress: Progress = lambda _: None,
) -> Trained:
    """Trains a variant and evaluates it on both sides with the final weights.

    On a CPU the result is a function of variant, data, seed, backend and number of
    threads, bit by bit. The held-out pictures are used to evaluate only: early stopping
    watches a split of the training set.

    Args:
        variant: what is trained, or its name; `package.module:function` is a model of your own.
        splits: the pictures, from `load_splits`.
        seed: of weights, order, dropout and augmentation; at least 0.
        protocol: batch size and steps per epoch, or a name: `one-pass` or `documented`.
        epochs: number of epochs; by default the protocol's.
        place: what the record states; by default the backend, device and threads in use.
        progress: called after each epoch with `epoch`, `epochs` and Keras' logs.

    Returns:
        `run`, the record of the training, and `model`, the trained model.

    Raises:
        ValueError: if there is no such variant or protocol, or if the model can't be built or
            does not answer with probabilities.
    """
    variant = variant_named(variant) if isinstance(variant, str) else variant
    protocol = protocol_named(protocol) if isinstance(protocol, str) else protocol
    protocol = replace(protocol, epochs=protocol.epochs if epochs is None else epochs)
    place = place or place_of_this_process()
    train_side = Pictures(splits.train_pictures(), splits.train.labels)
    held_out = Pictures(splits.validation_pictures(), splits.validation.labels)
    model = seeded_model(variant, seed, splits.input_shape, len(splits.classes))
    initial_loss = evaluate_side(model, _spread(train_side, INITIAL_LOSS_PICTURES)).loss
    before = [np.array(weight) for weight in model.get_weights()]

    start = time.perf_counter()
    history, steps_per_epoch, non_finite = _fit(
        model, variant, train_side, held_out, seed, protocol, progress
    )
    seconds = time.perf_counter() - start

    start = time.perf_counter()
    on_train, on_held_out = evaluate_side(model, train_side), evaluate_side(model, held_out)
    difference = prediction_difference(model, held_out.pictures, on_held_out.probabilities)
    dead = dead_units(model, _spread(held_out, INSPECTED_PICTURES).pictures)
    evaluation_seconds = time.perf_counter() - start
    after = model.get_weights()
    run = TrainingRun(
        variant=variant.name,
        seed=seed,
        backend=place.backend,
        device=place.device,
        dtype=keras.backend.floatx(),
        batch_size=protocol.batch_size,
        protocol=protocol.name,
        threads=place.threads,
        epochs=len(history["loss"]),
        steps_per_epoch=steps_per_epoch,
        parameters=model.count_params(),
        initial_loss=initial_loss,
        train_accuracy=on_train.accuracy,
        train_loss=on_train.loss,
        val_accuracy=on_held_out.accuracy,
        val_loss=on_held_out.loss,
        seconds=seconds,
        evaluation_seconds=evaluation_seconds,
        unchanged_weights=tuple(
            weight.path
            for weight, old, new in zip(model.weights, before, after, strict=True)
            if np.array_equal(old, new)
        ),
        prediction_difference=difference,
        dead_units=dead,
        weights_sha256=hashlib.sha256(b"".join(one.tobytes() for one in after)).hexdigest(),
        data_hash=splits.content_hash,
        fingerprint=variant.fingerprint(),
        non_finite=non_finite,
        history=history,
        val_probabilities=tuple(tuple(map(float, row)) for row in on_held_out.probabilities),
    )
    return Trained(run, model, variant, protocol, splits.classes, splits.input_shape)


def _fit(
    model: keras.Model,
    variant: Variant,
    train_side: Pictures,
    held_out: Pictures,
    seed: int,
    protocol: Protocol,
    progress: Progress,
) -> tuple[dict[str, tuple[float, ...]], int, tuple[int, int] | None]:
    """Does what Keras' `fit` and `EarlyStopping` do, step by step.

    Returns Keras' history, the steps per epoch, and the epoch and batch, from 1, at which a loss
    that was not finite stopped it.

    `fit` itself passes Python's batches to TensorFlow through tf.data, whose tuning thread
    sometimes sleeps on when a pipeline ends: one in five trainings took twice its time for it.
    """
    patience, monitor = variant.early_stopping_patience, None
    if patience is not None:
        train_side, monitor = _monitor_split(train_side, seed)
    count, batch_size = len(train_side.labels), protocol.batch_size
    steps = protocol.steps_per_epoch or math.ceil(count / batch_size)
    targets = targets_for(model, train_side.labels)
    shown = np.arange(len(held_out.labels))
    if protocol.validation_steps is not None:
        shown = np.resize(shown, protocol.validation_steps * batch_size)
    epochs: list[dict[str, float]] = []
    best_loss, best_epoch, best_weights = math.inf, 0, None
    non_finite: tuple[int, int] | None = None
    for epoch in range(protocol.epochs):
        # Keras resets its metrics at every batch: the epoch's are means over pictures.
        totals, seen = Counter[str](), 0
        for batch, rows in enumerate(epoch_batches(count, batch_size, steps, seed, epoch)):
            logs = model.train_on_batch(train_side.pictures[rows], targets[rows], return_dict=True)
            seen += len(rows)
            for name, value in logs.items():
                totals[name] += value * len(rows)
            if not math.isfinite(logs["loss"]):
                non_finite = (epoch + 1, batch + 1)
                break
        validation = evaluate_side(model, held_out, shown)
        values = {name: float(total / seen) for name, total in totals.items()}
        values |= {"val_accuracy": validation.accuracy, "val_loss": validation.loss}
        if monitor is not None:
            values["monitor_loss"] = evaluate_side(model, monitor).loss
            if best_weights is None or values["monitor_loss"] < best_loss:
                best_loss, best_epoch = values["monitor_loss"], epoch
                best_weights = [np.array(weight) for weight in model.get_weights()]
        epochs.append(values)
        progress({"epoch": epoch + 1, "epochs": protocol.epochs, **values})
        if non_finite or (patience is not None and epoch - best_epoch >= patience):
            break
    if best_weights is not None:
        model.set_weights(best_weights)
    return {name: tuple(one[name] for one in epochs) for name in epochs[0]}, steps, non_finite


def _monitor_split(side: Pictures, seed: int) -> tuple[Pictures, Pictures]:
    """Takes a stratified share out of the training set for early stopping to watch."""
    rng = random_stream(seed, "monitor_split")
    watched: list[int] = []
    for label in np.unique(side.labels):
        rows = rng.permutation(np.flatnonzero(side.labels == label))
        watched.extend(rows[: max(1, round(MONITOR_SHARE * len(rows)))])
    kept = np.setdiff1d(np.arange(len(side.labels)), watched)
    return side.taken(kept), side.taken(np.sort(watched))


def _spread(side: Pictures, most: int) -> Pictures:
    """Returns up to `most` pictures spread evenly, so that every class is among them."""
    count = len(side.labels)
    rows = np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
    return side.taken(np.unique(rows))
