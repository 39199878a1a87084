"""The only file that defines layers: one `build_model` for every variant.

Models take pictures as they are stored, uint8 from 0 to 255, and rescale them themselves, so that
a cached array is never copied into floats as a whole.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from cnnbench.models import own_models
from cnnbench.models.evaluation import require_probabilities
from cnnbench.models.user_errors import BadModel, blaming, first_line
from cnnbench.models.variants import Variant
from cnnbench.pictures.data_set import Splits


def build_model(
    variant: Variant, input_shape: tuple[int, int, int] = (64, 64, 3), classes: int = 2
) -> keras.Model:
    """Builds and compiles a variant's model. Seed Keras before: weights are drawn here.

    Args:
        variant: the configuration, or a user's own model (`builder`).
        input_shape: `(height, width, channels)` of a picture.
        classes: number of classes; two give one sigmoid unit, more a softmax.

    Input shape:
        `(batch_size, height, width, channels)`, uint8 values from 0 to 255.

    Output shape:
        `(batch_size, 1)` for two classes and `(batch_size, classes)` for more.

    Raises:
        ValueError: if the model can't be built on this input, or if a user's model can't be
            found, is no Keras model or has another output shape.
    """
    if variant.builder is None:
        return _compiled(_built_in(variant, input_shape, classes), variant)
    return _compiled(own_models.own_model(variant.builder, input_shape, classes), variant)


def seeded_model(
    variant: Variant,
    seed: int,
    input_shape: tuple[int, int, int],
    classes: int,
    policy: str = "float32",
) -> keras.Model:
    """Returns a new model whose weights depend on the seed and on nothing that ran before."""
    keras.backend.clear_session()  # forgets a dtype policy, too
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    try:
        return build_model(variant, input_shape, classes)
    finally:
        keras.config.set_dtype_policy("float32")


def _built_in(variant: Variant, input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    try:
        stack = _layers(variant, classes)
        if variant.api == "sequential":
            return keras.Sequential([keras.Input(input_shape), *stack])
        inputs = outputs = keras.Input(input_shape)
        for layer in stack:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)
    except ValueError as error:
        raise ValueError(
            f"Variant {variant.name!r} can't be built on pictures of this size: "
            f"{first_line(error)} Received: input_shape={input_shape}"
        ) from error


def _layers(variant: Variant, classes: int) -> list[keras.Layer]:
    """Returns the layers in order; made in this order, their seeds are the same in both APIs."""
    stack: list[keras.Layer] = [layers.Rescaling(1 / 255)]
    if variant.augmentation:
        stack.append(layers.RandomFlip("horizontal"))
        stack.append(layers.RandomTranslation(0.08, 0.08, fill_mode="nearest"))  # 5 of 64 pixels
    for filters in variant.blocks:
        stack += _with_relu(variant, layers.Conv2D, filters, 3)
        stack.append(layers.MaxPooling2D(2))
    if variant.pooling == "global_average":
        stack.append(layers.GlobalAveragePooling2D())
    elif variant.api == "functional":
        stack.append(layers.Reshape((-1,)))
    else:
        stack.append(layers.Flatten())
    stack += _with_relu(variant, layers.Dense, variant.dense_units)
    if variant.dropout:
        stack.append(layers.Dropout(variant.dropout))
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    stack.append(layers.Dense(units, activation=activation))
    return stack


def _with_relu(variant: Variant, layer: type[keras.Layer], *shape: int) -> list[keras.Layer]:
    if not variant.batch_normalization:
        return [layer(*shape, activation="relu")]
    # The dense layer needs it as well: fed with thousands of normalized activations, its relus
    # all died in three of five trainings on photographs.
    return [
        layer(*shape, use_bias=False),
        # Keras' default of 0.99 takes hundreds of steps to follow; ten epochs are a few hundred.
        layers.BatchNormalization(momentum=0.9),
        layers.Activation("relu"),
    ]


def _compiled(model: keras.Model, variant: Variant) -> keras.Model:
    """Compiles with the documented optimizer and loss, or with those a user's model brought."""
    own = variant.builder is not None and getattr(model, "compiled", False)
    optimizer = model.optimizer if own else keras.optimizers.Adam(variant.learning_rate)
    sigmoid = tuple(model.output_shape) == (None, 1)
    loss = "binary_crossentropy" if sigmoid else "sparse_categorical_crossentropy"
    if own and isinstance(model.loss, (str, keras.losses.Loss)):
        loss = model.loss
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def targets_for(model: keras.Model, labels: np.ndarray) -> np.ndarray:
    """Returns int64 labels `(n,)` in the form that the loss of a compiled model takes.

    That is float32 `(n, 1)` for a sigmoid, one-hot float32 `(n, classes)` for a categorical
    cross-entropy, int64 `(n,)` for a sparse one.
    """
    if tuple(model.output_shape) == (None, 1):
        return labels.astype("float32")[:, None]
    loss = model.loss if isinstance(model.loss, str) else type(model.loss).__name__
    if loss.lower().replace("_", "") == "categoricalcrossentropy":
        one_hot: np.ndarray = np.eye(model.output_shape[-1], dtype="float32")[labels]
        return one_hot
    return labels


def try_model(variant: Variant, splits: Splits) -> None:
    """Builds a model; a user's own also answers a few pictures and learns from them once.

    Raises a `ValueError` for what is wrong with it; a `BadModel` is for the author of the model.
    """
    classes = len(splits.classes)
    model = seeded_model(variant, 0, splits.input_shape, classes)
    if variant.builder is None:
        return
    pictures = splits.train_pictures()[: own_models.PROBE_PICTURES]
    begins = own_models.where_defined(variant.builder)
    blamed = f"{variant.builder} ({begins})"
    with blaming(variant.builder, begins):
        # A functional model's output shape does not show that its answers have names.
        answers = model(pictures, training=False)
        own_models.require_shape(own_models.shape_of(answers), classes, blamed)
        _require_probabilities(model, pictures, blamed)
        labels = splits.train.labels[: own_models.PROBE_PICTURES]
        model.train_on_batch(pictures, targets_for(model, labels))
        kernels = [weight for weight in model.trainable_weights if len(weight.shape) > 1]
        # An untrained network without a sigmoid may answer from 0 to 1 by chance; not any more when
        # its last layer multiplies with large numbers of either sign, which a sigmoid can stand.
        for factor in (100, -1):
            for kernel in kernels[-1:]:
                kernel.assign(kernel * factor)
                _require_probabilities(model, pictures, blamed)


def _require_probabilities(model: keras.Model, pictures: np.ndarray, blamed: str) -> None:
    answers = keras.ops.convert_to_numpy(model(pictures, training=False)).astype(np.float64)
    require_probabilities(answers, blamed)
    sums = answers[np.isfinite(answers).all(axis=1)].sum(axis=1)
    if answers.shape[1] > 1 and (np.abs(sums - 1) > 1e-4).any():
        raise BadModel(
            f"{blamed} must answer with probabilities that add up to 1 for each picture: "
            f"end it with a softmax. Received: sums from {sums.min():.3g} to {sums.max():.3g}"
        )
