"""Accuracy, loss and probabilities of a model in inference mode."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np

from cnnbench.pictures.batches import Pictures
from cnnbench.pictures.data_set import Splits
from cnnbench.stats.answers import classes_of

EVALUATION_BATCH_SIZE = 256


@dataclass(frozen=True)
class Evaluation:
    """Accuracy, mean cross-entropy (nats) and probabilities `(n, 1)` or `(n, classes)`."""

    accuracy: float
    loss: float
    probabilities: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Evaluations:
    """How a model does on the training pictures and on those held out."""

    train: Evaluation
    validation: Evaluation


def evaluate(model: keras.Model, splits: Splits) -> Evaluations:
    """Evaluates a model on both sides of a data set.

    Args:
        model: built; takes uint8 pictures and answers with probabilities.
        splits: the data set.

    Returns:
        `train` and `validation`, each with `accuracy`, `loss` and `probabilities`.

    Raises:
        ValueError: if the model's answers are no probabilities.
    """
    return Evaluations(
        evaluate_side(model, Pictures(splits.train_pictures(), splits.train.labels)),
        evaluate_side(model, Pictures(splits.validation_pictures(), splits.validation.labels)),
    )


def evaluate_side(model: keras.Model, side: Pictures, rows: np.ndarray | None = None) -> Evaluation:
    """Evaluates a model on the pictures of one side; means are taken in float64.

    Args:
        model: built.
        side: pictures and labels.
        rows: which pictures, in which order; a picture may come more than once. By default all.

    Raises:
        ValueError: if the model's answers are no probabilities.
    """
    rows = np.arange(len(side.labels)) if rows is None else rows
    labels = side.labels[rows]
    batches = [
        model.predict_on_batch(side.pictures[rows[start : start + EVALUATION_BATCH_SIZE]])
        for start in range(0, len(rows), EVALUATION_BATCH_SIZE)
    ]
    probabilities = np.concatenate([np.asarray(b, dtype=np.float64) for b in batches])
    finite = probabilities[np.isfinite(probabilities)]
    if finite.size and (finite.min() < -1e-6 or finite.max() > 1 + 1e-6):
        raise ValueError(
            "The model must answer with probabilities: end it with a sigmoid or a softmax. "
            f"Received: answers from {finite.min():.3g} to {finite.max():.3g}"
        )
    if probabilities.shape[1] == 1:
        of_true = np.where(labels == 1, probabilities[:, 0], 1 - probabilities[:, 0])
    else:
        of_true = probabilities[np.arange(len(labels)), labels]
    # Keras clips at the same epsilon: a wrong answer of probability 0 costs 16 nats, not infinity.
    loss = -np.log(np.clip(of_true, keras.backend.epsilon(), 1.0)).mean()
    return Evaluation(
        float((classes_of(probabilities) == labels).mean()), float(loss), probabilities
    )
