"""Models with one planted fault each. The network and its training are otherwise healthy."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def _network(*, rescale: float = 1 / 255, trainable: bool = True) -> keras.Model:
    return keras.Sequential(
        [
            layers.Rescaling(rescale),
            layers.Conv2D(16, 3, activation="relu", trainable=trainable),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu", trainable=trainable),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(32, activation="relu", trainable=trainable),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def _built(model: keras.Model, input_shape: tuple[int, int, int]) -> keras.Model:
    model.build((None, *input_shape))
    return model


def healthy(input_shape: tuple[int, int, int]) -> keras.Model:
    return _built(_network(), input_shape)


def unscaled(input_shape: tuple[int, int, int]) -> keras.Model:
    """Pictures reach the first convolution as they are stored, up to 255."""
    return _built(_network(rescale=1.0), input_shape)


def frozen(input_shape: tuple[int, int, int]) -> keras.Model:
    """Every layer but the last keeps the weights that were drawn."""
    return _built(_network(trainable=False), input_shape)


def constant(input_shape: tuple[int, int, int]) -> keras.Model:
    """The answer does not depend on the picture."""
    inputs = keras.Input(input_shape)
    nothing = layers.Rescaling(0.0)(inputs)
    outputs = layers.Dense(1, activation="sigmoid")(layers.Flatten()(nothing))
    return keras.Model(inputs, outputs)


def hasty(input_shape: tuple[int, int, int]) -> keras.Model:
    """Learning rate x 1000, in a model that brings its own optimizer."""
    model = _built(_network(), input_shape)
    model.compile(optimizer=keras.optimizers.Adam(1.0), loss="binary_crossentropy")
    return model


def quick(input_shape: tuple[int, int, int]) -> keras.Model:
    """Learning rate x 100, in a model that brings its own optimizer."""
    model = _built(_network(), input_shape)
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy")
    return model


def dead(input_shape: tuple[int, int, int]) -> keras.Model:
    """The relus of the dense layer are zero, whatever the picture, and stay so."""
    model = _built(_network(), input_shape)
    kernel, bias = model.layers[-2].get_weights()
    model.layers[-2].set_weights([kernel, bias - 100])
    return model


class _AlwaysOn(layers.Layer):
    """Augments in training and, by mistake, in validation too."""

    def __init__(self) -> None:
        super().__init__()
        self._random = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)]

    def call(self, pictures: Any) -> Any:
        for layer in self._random:
            pictures = layer(pictures, training=True)
        return pictures


def augmented(input_shape: tuple[int, int, int]) -> keras.Model:
    """Pictures are turned and mirrored at random in validation as in training."""
    return _built(keras.Sequential([_AlwaysOn(), *_network().layers]), input_shape)


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


def nan_once(input_shape: tuple[int, int, int]) -> keras.Model:
    """The loss of the fifth batch is NaN, and that of no other."""
    return _built(keras.Sequential([_NaNOnce(5), *_network().layers]), input_shape)


def three_classes(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """A user's own softmax, for any number of classes."""
    inputs = keras.Input(input_shape)
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    outputs = layers.Dense(classes, activation="softmax")(layers.Dense(16, activation="relu")(flat))
    return keras.Model(inputs, outputs)


def logits(input_shape: tuple[int, int, int]) -> keras.Model:
    """Answers that are no probabilities."""
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(inputs)))


def wrong_shape(input_shape: tuple[int, int, int]) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(inputs)))


def no_model(input_shape: tuple[int, int, int]) -> str:
    return "not a model"


def raises(input_shape: tuple[int, int, int]) -> keras.Model:
    raise RuntimeError("this model can't be made")


def crashing(input_shape: tuple[int, int, int]) -> keras.Model:
    """Takes its process along, as a backend that crashes does."""
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Subclassed(keras.Model):
    """The network as a class of its own, which knows its shapes only when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = _network().layers

    def call(self, pictures: Any, training: bool = False) -> Any:
        for layer in self.stack:
            pictures = layer(pictures)
        return pictures


def subclassed(input_shape: tuple[int, int, int]) -> keras.Model:
    return Subclassed()


def subclassed_and_called(input_shape: tuple[int, int, int]) -> keras.Model:
    model = Subclassed()
    model(keras.ops.zeros((1, *input_shape)))
    return model


class RaisesInCall(Subclassed):
    def call(self, pictures: Any, training: bool = False) -> Any:
        raise RuntimeError("this call fails")


def raises_in_call(input_shape: tuple[int, int, int]) -> keras.Model:
    return RaisesInCall()


class RaisesInTraining(Subclassed):
    def call(self, pictures: Any, training: bool = False) -> Any:
        if training:
            raise RuntimeError("this training fails")
        return super().call(pictures)


def raises_in_training(input_shape: tuple[int, int, int]) -> keras.Model:
    return RaisesInTraining()


class RaisesLater(Subclassed):
    """Fails on batches of more pictures than a model is tried with."""

    def call(self, pictures: Any, training: bool = False) -> Any:
        if training and pictures.shape[0] != 2:
            raise RuntimeError("this batch fails")
        return super().call(pictures)


def raises_later(input_shape: tuple[int, int, int]) -> keras.Model:
    return RaisesLater()


def named_outputs(input_shape: tuple[int, int, int]) -> keras.Model:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, {"answer": _network()(inputs)})


class NamedOutputs(Subclassed):
    def call(self, pictures: Any, training: bool = False) -> Any:
        return {"answer": super().call(pictures)}


def subclassed_with_named_outputs(input_shape: tuple[int, int, int]) -> keras.Model:
    return NamedOutputs()


def wrong_input(input_shape: tuple[int, int, int]) -> keras.Model:
    """Made for pictures of another size."""
    return _built(_network(), (40, 40, 3))


def linear(input_shape: tuple[int, int, int]) -> keras.Model:
    """Answers from 0 to 1 as long as nothing is learnt, but no probabilities."""
    inputs = keras.Input(input_shape)
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    start = keras.initializers.Constant(1e-6)
    return keras.Model(inputs, layers.Dense(1, kernel_initializer=start)(flat))


def two_sigmoids(input_shape: tuple[int, int, int]) -> keras.Model:
    """Two answers that don't add up to 1."""
    inputs = keras.Input(input_shape)
    flat = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(2, activation="sigmoid")(flat))
