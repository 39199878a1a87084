"""What the engines of Keras' backends share: models of a dtype, and where their tensors lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from cnnbench.models.seeded import seeded_model
from cnnbench.models.variants import Variant
from cnnbench.records.measurements import Placement
from cnnbench.speed.engines.quantized import compute_dtypes

# Keras' names: weights stay float32, layers compute in the lower precision.
POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
    "int8": "float32",  # quantized afterwards
}

# Returns kind of device and dtype of a backend's tensor.
Where = Callable[[Any], tuple[str, str]]


def model_of(
    variant: Variant,
    seed: int,
    input_shape: tuple[int, int, int],
    classes: int,
    dtype: str,
    weights: Sequence[npt.NDArray[Any]] | None = None,
) -> keras.Model:
    """Builds a variant's model that computes in a dtype.

    Args:
        variant: what is built.
        seed: of its weights, and of dropout and augmentation.
        input_shape: `(height, width, channels)`.
        classes: number of classes.
        dtype: `float32`, `bfloat16`, `float16` or `int8` (not yet quantized).
        weights: take the place of those that the seed draws, in Keras' order.

    Returns:
        A compiled model without metrics: steps are timed, not judged.
    """
    model = seeded_model(variant, seed, input_shape, classes, POLICIES[dtype])
    if weights is not None:
        model.set_weights(list(weights))
    model.compile(optimizer=model.optimizer, loss=model.loss, jit_compile=model.jit_compile)
    return model


def has_random_layers(model: keras.Model) -> bool:
    """Returns whether training draws numbers (dropout, augmentation), which backends draw apart."""
    return any(
        isinstance(value, keras.random.SeedGenerator)
        for layer in model._flatten_layers()
        for value in vars(layer).values()
    )


def placement_of(model: keras.Model, where: Where) -> Placement:
    """Reads devices and dtypes off a model's weights and off what its layers answer.

    Args:
        model: functional or sequential; of any other only the answer is looked at.
        where: reads one of the backend's tensors.
    """
    weights = [where(weight.value) for weight in model.weights]
    computing = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if getattr(layer, "kernel", None) is not None
    ]
    picture = np.zeros((1, *model.input_shape[1:]), np.uint8)
    try:
        probe = keras.Model(model.inputs, [layer.output for layer in computing])
        answers = probe([picture], training=False)
    except (AttributeError, ValueError):
        answers = model(picture, training=False)  # a subclass of Model has no layers' outputs
    seen = [where(tensor) for tensor in (answers if isinstance(answers, list) else [answers])]
    computed = [dtype for _, dtype in seen]
    if any(dtype == "int8" for _, dtype in weights):
        # Keras' int8 layers multiply in int8 and answer in float32; convolutions stay float32.
        computed = list(compute_dtypes(model))
    return Placement(
        devices=_names(device for device, _ in (*weights, *seen)),
        weight_dtypes=_names(dtype for _, dtype in weights),
        compute_dtypes=_names(computed),
    )


def _names(values: Any) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
