"""How a model answers in inference mode: accuracy, loss, repeatability, dead units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from cnnbench.models.user_errors import BadModel
from cnnbench.pictures.batches import Pictures
from cnnbench.pictures.data_set import Splits
from cnnbench.stats.answers import classes_of

EVALUATION_BATCH_SIZE = 256
_PICTURES_AT_ONCE = 64  # the activations of all layers of this many pictures are held in memory


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
    """Evaluates a model on some `rows` of one side, or on all; means are taken in float64."""
    rows = np.arange(len(side.labels)) if rows is None else rows
    labels = side.labels[rows]
    batches = [
        model.predict_on_batch(side.pictures[rows[start : start + EVALUATION_BATCH_SIZE]])
        for start in range(0, len(rows), EVALUATION_BATCH_SIZE)
    ]
    probabilities = np.concatenate([np.asarray(b, dtype=np.float64) for b in batches])
    require_probabilities(probabilities)
    if probabilities.shape[1] == 1:
        of_true = np.where(labels == 1, probabilities[:, 0], 1 - probabilities[:, 0])
    else:
        of_true = probabilities[np.arange(len(labels)), labels]
    # Keras clips at the same epsilon: a wrong answer of probability 0 costs 16 nats, not infinity.
    loss = -np.log(np.clip(of_true, keras.backend.epsilon(), 1.0)).mean()
    accuracy = (classes_of(probabilities) == labels).mean()
    return Evaluation(float(accuracy), float(loss), probabilities)


def require_probabilities(answers: np.ndarray, blamed: str = "The model") -> None:
    """Raises a `BadModel` if an answer is below 0 or above 1; one that is no number is neither."""
    finite = answers[np.isfinite(answers)]
    if finite.size and (finite.min() < -1e-6 or finite.max() > 1 + 1e-6):
        raise BadModel(
            f"{blamed} must answer with probabilities: end it with a sigmoid or a softmax. "
            f"Received: answers from {finite.min():.3g} to {finite.max():.3g}"
        )


def prediction_difference(
    model: keras.Model, pictures: np.ndarray, probabilities: np.ndarray
) -> float:
    """Predicts the first batch once more and returns the largest absolute difference.

    On a CPU the same batch gives the same bits: 0 for a model whose answers depend on the picture
    alone, and infinity if answers are numbers one time and NaN the other. `probabilities` are what
    `evaluate` returned for the same pictures.
    """
    first = probabilities[:EVALUATION_BATCH_SIZE]
    again = np.asarray(model.predict_on_batch(pictures[:EVALUATION_BATCH_SIZE]), dtype=np.float64)
    if (np.isnan(first) != np.isnan(again)).any():
        return float("inf")
    # A network that answers NaN both times is broken in another way.
    return float(np.nan_to_num(np.abs(again - first)).max())


def dead_units(model: keras.Model, pictures: np.ndarray) -> dict[str, float]:
    """Returns the share of dead units in each layer, at any depth, that ends in a relu, by name.

    A unit is a channel of a convolution or a neuron of a dense layer. It is dead if it is zero
    for every picture and, in a convolution, at every place.
    """
    highest: dict[str, list[np.ndarray]] = {}

    def watch(layer: keras.Layer) -> None:
        call = layer.call

        def watched(*arguments: Any, **named: Any) -> Any:
            values = call(*arguments, **named)
            places = tuple(range(len(values.shape) - 1))
            most = keras.ops.convert_to_numpy(keras.ops.max(values, axis=places))
            highest.setdefault(layer.name, []).append(most)
            return values

        vars(layer)["call"] = watched  # past Keras, which would keep it with the layer's weights

    relus = [layer for layer in model._flatten_layers() if _ends_in_relu(layer)]
    try:
        for layer in relus:
            watch(layer)
        for start in range(0, len(pictures) if relus else 0, _PICTURES_AT_ONCE):
            # Called and not predicted: compiling a prediction costs more than these few batches.
            model(pictures[start : start + _PICTURES_AT_ONCE], training=False)
    finally:
        for layer in relus:
            vars(layer).pop("call", None)
    return {name: float((np.max(parts, axis=0) <= 0).mean()) for name, parts in highest.items()}


def _ends_in_relu(layer: keras.Layer) -> bool:
    relus = (keras.activations.relu, keras.activations.relu6)
    return isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) in relus
