"""A user's own model: found by name, built and tried."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from cnnbench.models.user_errors import BadModel, blaming, first_line, shown

PROBE_PICTURES = 2
PROBE_FACTOR = 100  # sigmoids and softmaxes of so much larger values still are probabilities
TOLERANCE = 1e-4


def own_model(name: str, input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Builds a user's model, if need be by calling it on pictures.

    Args:
        name: `package.module:function`; the function takes `input_shape` and may take `classes`.
        input_shape: `(height, width, channels)` of a picture.
        classes: number of classes.

    Raises:
        BadModel: if it is not to be found, can't be built or has another output shape.
    """
    function = _function(name)
    begins = _begins(function, name)
    with blaming(name, begins):
        # A function that wants to know the number of classes says so by its parameter.
        takes_classes = "classes" in inspect.signature(function).parameters
        model = function(input_shape, classes=classes) if takes_classes else function(input_shape)
    if not isinstance(model, keras.Model):
        raise BadModel(
            f"{name} ({begins}) must return a keras.Model. Received: type={type(model).__name__}"
        )
    with blaming(name, begins):
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *input_shape))
        if not hasattr(model, "output_shape"):  # a subclass of Model with a `call` of its own
            _find_shapes(model, input_shape)
    taken = model.input_shape
    expected = (None, *input_shape)
    if len(taken) != 4 or any(a not in (None, b) for a, b in zip(taken, expected, strict=True)):
        raise BadModel(
            f"{name} ({begins}) must take pictures of the size that it is asked for, input shape "
            f"{expected}. Received: input_shape={taken}"
        )
    _require_shape(model.output_shape, name, begins, classes)
    return model


def try_own_model(
    model: keras.Model,
    name: str,
    pictures: npt.NDArray[np.uint8],
    targets: npt.NDArray[Any],
    classes: int,
) -> None:
    """Has a user's model answer a few pictures and learn from them once. Its weights change.

    Args:
        model: of `own_model`, compiled.
        name: `package.module:function`.
        pictures: uint8 `(2, height, width, channels)`.
        targets: in the form that the model's loss takes.
        classes: number of classes.

    Raises:
        BadModel: if a call or the training step fails, or if answers are no probabilities.
    """
    begins = _begins(_function(name), name)
    with blaming(name, begins):
        answers = model(pictures, training=False)
        # A functional model hides in its shapes that its answers have names.
        _require_shape(keras.tree.map_structure(_shape, answers), name, begins, classes)
        _require_probabilities(_answers(model, pictures), name, begins)
        model.train_on_batch(pictures, targets)
        kernels = [weight for weight in model.trainable_weights if len(weight.shape) > 1]
        # An untrained network without a sigmoid may answer from 0 to 1 by chance; not any more
        # when its last layer multiplies with large numbers of either sign.
        for factor in (PROBE_FACTOR, -1):
            for kernel in kernels[-1:]:
                kernel.assign(kernel * factor)
                _require_probabilities(_answers(model, pictures), name, begins)


def _function(name: str) -> Any:
    module_name, _, function_name = name.partition(":")
    try:
        with blaming(name):
            module = importlib.import_module(module_name)
    except BadModel:
        raise
    except Exception as error:  # importing a user's code may raise anything
        raise BadModel(
            f"Can't import {module_name!r} for the variant {name!r}: {type(error).__name__}: "
            f"{first_line(error)} Run in the folder that holds it, or install it. "
            f"Received: cwd={os.path.basename(os.getcwd())!r}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise BadModel(
            f"Module {module_name!r} has no function {function_name!r}. Received: variant={name!r}"
        )
    return function


def _begins(function: Any, name: str) -> str:
    """Returns file and line where a function begins; the module where that can't be known."""
    try:
        file, line = inspect.getsourcefile(function), inspect.getsourcelines(function)[1]
    except (TypeError, OSError):
        return f"module {name.partition(':')[0]}"
    return f"{shown(str(file))}:{line}"


def _find_shapes(model: keras.Model, input_shape: tuple[int, int, int]) -> None:
    """Calls a model, which makes its weights, and gives it the shapes that others have."""
    answers = model(np.zeros((PROBE_PICTURES, *input_shape), np.uint8), training=False)
    model.input_shape = (None, *input_shape)
    model.output_shape = keras.tree.map_structure(_shape, answers)


def _shape(tensor: Any) -> tuple[int | None, ...]:
    first, *rest = (int(length) for length in tensor.shape)
    return (None if first == PROBE_PICTURES else first, *rest)


def _answers(model: keras.Model, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return np.asarray(keras.ops.convert_to_numpy(model(pictures, training=False)), dtype=np.float64)


def _require_shape(shape: Any, name: str, begins: str, classes: int) -> None:
    if shape in ([(None, classes)] if classes > 2 else [(None, 1), (None, 2)]):
        return
    one = "one sigmoid unit, output shape (None, 1), or in " if classes == 2 else ""
    raise BadModel(
        f"{name} ({begins}) must end in {one}a softmax over the {classes} classes, output shape "
        f"(None, {classes}). Received: output_shape={shape}"
    )


def _require_probabilities(answers: npt.NDArray[np.float64], name: str, begins: str) -> None:
    finite = answers[np.isfinite(answers).all(axis=1)]
    if not finite.size:
        return  # numbers that are none are a finding of the checks
    if finite.min() < -TOLERANCE or finite.max() > 1 + TOLERANCE:
        raise BadModel(
            f"{name} ({begins}) must answer with probabilities: end it with a sigmoid or a "
            f"softmax. Received: answers from {finite.min():.3g} to {finite.max():.3g}"
        )
    sums = finite.sum(axis=1)
    if answers.shape[1] > 1 and np.abs(sums - 1).max() > TOLERANCE:
        raise BadModel(
            f"{name} ({begins}) must answer with probabilities that add up to 1 for each picture: "
            f"end it with a softmax. Received: sums from {sums.min():.3g} to {sums.max():.3g}"
        )
