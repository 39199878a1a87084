"""What a trained model shows when it is looked at: repeatable answers and dead units."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from cnnbench.models.evaluation import EVALUATION_BATCH_SIZE

# Of the pictures that dead units are looked for on. Twice as many take 0.25 s a training.
INSPECTED_PICTURES = 128
_PICTURES_AT_ONCE = 64  # the activations of all layers of this many pictures are held in memory


def prediction_difference(
    model: keras.Model, pictures: np.ndarray, probabilities: np.ndarray
) -> float:
    """Predicts pictures once more and returns the largest absolute difference.

    Args:
        model: built.
        pictures: `(n, height, width, channels)`; the first batch is predicted again,
            as on a CPU the same batch gives the same bits.
        probabilities: what the model answered before in inference mode, `(n, 1)` or
            `(n, classes)`, as `evaluate` returns it for the same pictures.

    Returns:
        0 for a model whose answers depend on the picture alone; infinity if answers are numbers
        one time and NaN the other.
    """
    first = probabilities[:EVALUATION_BATCH_SIZE]
    again = np.asarray(model.predict_on_batch(pictures[:EVALUATION_BATCH_SIZE]), dtype=np.float64)
    if (np.isnan(first) != np.isnan(again)).any():
        return float("inf")
    # A network that answers NaN both times is broken in another way.
    return float(np.nan_to_num(np.abs(again - first)).max())


def dead_units(model: keras.Model, pictures: np.ndarray) -> dict[str, float]:
    """Returns the share of dead units in each layer that ends in a relu.

    A unit is a channel of a convolution or a neuron of a dense layer. It is dead if it is zero
    for every picture and, in a convolution, at every place.

    Args:
        model: built.
        pictures: `(n, height, width, channels)`, of all classes.

    Returns:
        Shares by layer name. Layers inside a nested or a subclassed model are among them.
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
