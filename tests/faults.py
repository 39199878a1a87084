"""Models with one planted fault each. The network and its training are otherwise healthy."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import keras
from keras import layers

Shape = tuple[int, int, int]


def _layers(*, rescale: float = 1 / 255, trainable: bool = True) -> list[keras.Layer]:
    return [
        layers.Rescaling(rescale),
        layers.Conv2D(16, 3, activation="relu", trainable=trainable),
        layers.MaxPooling2D(2),
        layers.Conv2D(16, 3, activation="relu", trainable=trainable),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(32, activation="relu", trainable=trainable),
        layers.Dense(1, activation="sigmoid"),
    ]


def _flat(input_shape: Shape, output: keras.Layer, rescale: float = 1 / 255) -> keras.Model:
    first = [keras.Input(input_shape), layers.Rescaling(rescale), layers.Flatten()]
    return keras.Sequential([*first, output])


# Faults of training


def healthy(input_shape: Shape, *first: keras.Layer, **options: Any) -> keras.Model:
    return keras.Sequential([keras.Input(input_shape), *first, *_layers(**options)])


unscaled = partial(healthy, rescale=1.0)  # pictures come as they are stored, up to 255
frozen = partial(healthy, trainable=False)  # all layers but the last keep the weights drawn


def constant(input_shape: Shape) -> keras.Model:
    """The answer does not depend on the picture."""
    return _flat(input_shape, layers.Dense(1, activation="sigmoid"), rescale=0.0)


def hasty(input_shape: Shape) -> keras.Model:
    """Learning rate x 1000, in a model that brings its own optimizer."""
    model = healthy(input_shape)
    model.compile(optimizer=keras.optimizers.Adam(1.0), loss="binary_crossentropy")
    return model


def dead(input_shape: Shape) -> keras.Model:
    """The relus of the dense layer are zero, whatever the picture, and stay so."""
    model = healthy(input_shape)
    kernel, bias = model.layers[-2].get_weights()
    model.layers[-2].set_weights([kernel, bias - 100])
    return model


class _AlwaysOn(layers.RandomFlip):
    """Mirrors in training and, by mistake, in validation too."""

    def call(self, pictures: Any, training: bool = False) -> Any:
        return super().call(pictures, training=True)


def augmented(input_shape: Shape) -> keras.Model:
    """Pictures are mirrored at random in validation as in training."""
    return healthy(input_shape, _AlwaysOn())


class _NaNOnce(layers.Layer):
    """Makes the loss NaN in one batch; no gradient passes through it."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch
        self._seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, pictures: Any, training: bool = False) -> Any:
        if training:
            self._seen.assign_add(1.0)
            self.add_loss(keras.ops.where(self._seen == self._batch, float("nan"), 0.0))
        return pictures


def nan_once(input_shape: Shape) -> keras.Model:
    """The loss of the fifth batch is NaN, and that of no other."""
    return healthy(input_shape, _NaNOnce(5))


# Models that can't be trained, and some that can


def three_classes(input_shape: Shape, classes: int) -> keras.Model:
    """A user's own softmax, for any number of classes."""
    return _flat(input_shape, layers.Dense(classes, activation="softmax"))


def logits(input_shape: Shape) -> keras.Model:
    """Answers that are no probabilities."""
    return _flat(input_shape, layers.Dense(1))


def linear(input_shape: Shape) -> keras.Model:
    """Answers from 0 to 1 by chance, and learns nothing."""
    start = keras.initializers.Constant(1e-6)
    model = _flat(input_shape, layers.Dense(1, kernel_initializer=start))
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="binary_crossentropy")
    return model


def two_sigmoids(input_shape: Shape) -> keras.Model:
    """Two answers that don't add up to 1."""
    return _flat(input_shape, layers.Dense(2, activation="sigmoid"))


def wrong_shape(input_shape: Shape) -> keras.Model:
    return _flat(input_shape, layers.Dense(5, activation="softmax"))


def wrong_input(input_shape: Shape) -> keras.Model:
    """Made for pictures of another size."""
    return healthy((40, 40, 3))


def named_outputs(input_shape: Shape) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, {"answer": healthy(input_shape)(inputs)})


def no_model(input_shape: Shape) -> str:
    return "not a model"


def raises(input_shape: Shape) -> keras.Model:
    raise RuntimeError("this model can't be made")


def crashing(input_shape: Shape) -> keras.Model:
    """Takes its process along, as a backend that crashes does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


# A class of its own, which knows its shapes only when it is called


class Subclassed(keras.Model):
    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.stack = _layers()
        self.fault = fault

    def call(self, pictures: Any, training: bool = False) -> Any:
        if self.fault == "call":
            raise RuntimeError("this call fails")
        if self.fault == "training" and training:
            raise RuntimeError("this training fails")
        # Batches of more pictures than a model is tried with.
        if self.fault == "batch" and training and pictures.shape[0] != 2:
            raise RuntimeError("this batch fails")
        for layer in self.stack:
            pictures = layer(pictures)
        return {"answer": pictures} if self.fault == "name" else pictures


def subclassed(input_shape: Shape, fault: str = "") -> keras.Model:
    return Subclassed(fault)


def subclassed_and_called(input_shape: Shape) -> keras.Model:
    model = Subclassed()
    model(keras.ops.zeros((1, *input_shape)))
    return model


raises_in_call = partial(subclassed, fault="call")
raises_in_training = partial(subclassed, fault="training")
raises_later = partial(subclassed, fault="batch")


def subclassed_with_named_outputs(input_shape: Shape) -> keras.Model:
    return Subclassed("name")
