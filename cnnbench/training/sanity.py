"""Short trainings whose outcome is known beforehand."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import zip_longest

import keras
import numpy as np

from cnnbench.machine.backends import Place
from cnnbench.models.evaluation import evaluate_side
from cnnbench.models.network import seeded_model, targets_for
from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures, random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import SanityRun
from cnnbench.training.protocols import Protocol
from cnnbench.training.train import Progress, train

MEMORIZED_PICTURES = 16
MEMORIZATION_STEPS = 300
STEPS_BETWEEN_LOOKS = 10
MEMORIZED_LOSS = 0.1  # stop early below it: every picture is then right with p > 0.9 on average
SHUFFLED_EPOCHS = 3


def memorize(variant: Variant, splits: Splits, seed: int, place: Place) -> SanityRun:
    """Trains on one tiny batch until it is known by heart or the steps are spent.

    A network that can't learn 16 pictures has a broken gradient, optimizer or label path.
    """
    side = _tiny_batch(splits, seed)
    model = seeded_model(variant, seed, splits.input_shape, len(splits.classes))
    targets = targets_for(model, side.labels)
    start = time.perf_counter()
    steps, result = 0, evaluate_side(model, side)
    while steps < MEMORIZATION_STEPS and not (
        result.accuracy == 1.0 and result.loss < MEMORIZED_LOSS
    ):
        for _ in range(STEPS_BETWEEN_LOOKS):
            model.train_on_batch(side.pictures, targets)
        steps += STEPS_BETWEEN_LOOKS
        result = evaluate_side(model, side)
    return SanityRun(
        kind="memorization",
        variant=variant.name,
        seed=seed,
        backend=place.backend,
        device=place.device,
        dtype=keras.backend.floatx(),
        batch_size=len(side.labels),
        steps=steps,
        accuracy=result.accuracy,
        loss=result.loss,
        seconds=time.perf_counter() - start,
    )


def train_on_shuffled(
    variant: Variant,
    splits: Splits,
    seed: int,
    protocol: Protocol,
    place: Place,
    progress: Progress,
) -> SanityRun:
    """Trains on labels without meaning and evaluates on the held-out set as it is.

    Better than chance there means that the labels reach the model by another way than
    its training labels: a leak.
    """
    run = train(
        variant,
        with_shuffled_labels(splits, seed),
        seed,
        protocol=protocol,
        epochs=min(protocol.epochs, SHUFFLED_EPOCHS),
        place=place,
        progress=progress,
    ).run
    shared = ("variant", "seed", "backend", "device", "dtype", "batch_size", "seconds")
    return SanityRun(
        kind="shuffled_labels",
        steps=run.epochs * run.steps_per_epoch,
        accuracy=run.val_accuracy,
        loss=run.val_loss,
        **{name: getattr(run, name) for name in shared},
    )


def with_shuffled_labels(splits: Splits, seed: int) -> Splits:
    """Returns splits whose training labels have no meaning: each class has the same mixture.

    A plain permutation leaves each class with a few per cent more of one label, which a
    network that separates the classes amplifies into an accuracy far from chance. Here
    each true class carries the labels in equal shares, as far as its size divides.
    """
    rng = random_stream(seed, "shuffled_labels")
    labels, classes = splits.train.labels, len(splits.classes)
    mixed = np.empty_like(labels)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        mixed[rows] = (np.arange(len(rows)) + rng.integers(classes)) % classes
    return replace(splits, train=replace(splits.train, labels=mixed))


def _tiny_batch(splits: Splits, seed: int) -> Pictures:
    """Returns a few training pictures, the classes in turn."""
    rng = random_stream(seed, "tiny_batch")
    labels = splits.train.labels
    classes = [rng.permutation(np.flatnonzero(labels == k))[::-1] for k in np.unique(labels)]
    rows = [row for turn in zip_longest(*classes) for row in turn if row is not None]
    chosen = np.array(rows[: max(MEMORIZED_PICTURES, len(classes))])
    return Pictures(splits.train_pictures()[chosen], labels[chosen])
