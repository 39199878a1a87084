"""A model whose weights depend on the seed alone."""

from __future__ import annotations

import keras

from cnnbench.models.network import build_model
from cnnbench.models.variants import Variant


def seeded_model(
    variant: Variant,
    seed: int,
    input_shape: tuple[int, int, int],
    classes: int,
    policy: str = "float32",
) -> keras.Model:
    """Returns a new model whose weights depend on the seed and on nothing that ran before.

    Args:
        variant: what is built.
        seed: of the weights, and of what its layers draw.
        input_shape: `(height, width, channels)`.
        classes: number of classes.
        policy: Keras' dtype policy of its layers.
    """
    keras.backend.clear_session()  # forgets a dtype policy, too
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        return build_model(variant, input_shape, classes)
    finally:
        keras.config.set_dtype_policy("float32")
