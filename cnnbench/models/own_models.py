"""A user's own model: found by name and built."""

from __future__ import annotations

import importlib
import inspect
import os
from typing import Any

import keras
import numpy as np

from cnnbench.models.user_errors import BadModel, blaming, first_line, shown

PROBE_PICTURES = 2


def own_model(name: str, input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Builds the model of `package.module:function`, if need be by calling it on pictures.

    Raises a `BadModel` if it can't be found or built, or has another output shape.
    """
    function, begins = _function(name), where_defined(name)
    with blaming(name, begins):
        # A function that wants to know the number of classes says so by its parameter.
        takes_classes = "classes" in inspect.signature(function).parameters
        model = function(input_shape, classes=classes) if takes_classes else function(input_shape)
        if not isinstance(model, keras.Model):
            kind = type(model).__name__
            raise BadModel(f"{name} ({begins}) must return a keras.Model. Received: type={kind}")
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *input_shape))
        if not hasattr(model, "output_shape"):  # a subclass of Model with a `call` of its own
            # The call makes its weights; the shapes are those that other models have.
            answers = model(np.zeros((PROBE_PICTURES, *input_shape), np.uint8), training=False)
            model.input_shape = (None, *input_shape)
            model.output_shape = shape_of(answers)
    taken, expected = model.input_shape, (None, *input_shape)
    if len(taken) != 4 or any(a not in (None, b) for a, b in zip(taken, expected, strict=True)):
        raise BadModel(
            f"{name} ({begins}) must take pictures of the size that it is asked for, input shape "
            f"{expected}. Received: input_shape={taken}"
        )
    require_shape(model.output_shape, classes, f"{name} ({begins})")
    return model


def shape_of(answers: Any) -> Any:
    """Returns the shapes of a model's answers to `PROBE_PICTURES` pictures."""

    def shape(tensor: Any) -> tuple[int | None, ...]:
        first, *rest = (int(length) for length in tensor.shape)
        return (None if first == PROBE_PICTURES else first, *rest)

    return keras.tree.map_structure(shape, answers)


def require_shape(shape: Any, classes: int, blamed: str) -> None:
    """Raises a `BadModel` if that is no output of a sigmoid or a softmax over the classes."""
    if shape in ([(None, classes)] if classes > 2 else [(None, 1), (None, 2)]):
        return
    one = "one sigmoid unit, output shape (None, 1), or in " if classes == 2 else ""
    raise BadModel(
        f"{blamed} must end in {one}a softmax over the {classes} classes, output shape "
        f"(None, {classes}). Received: output_shape={shape}"
    )


def where_defined(name: str) -> str:
    """Returns file and line where a function begins; the module where that can't be known."""
    function = _function(name)
    try:
        file, line = inspect.getsourcefile(function), inspect.getsourcelines(function)[1]
    except (TypeError, OSError):
        return f"module {name.partition(':')[0]}"
    return f"{shown(str(file))}:{line}"


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
