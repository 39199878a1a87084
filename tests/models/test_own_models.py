"""A user's own model is tried before it is trained, and each fault names its line."""

from __future__ import annotations

import inspect
from pathlib import Path

import faults
import keras
import numpy as np
import pytest
from tiny import write_pictures

from cnnbench.models.network import try_model
from cnnbench.models.user_errors import BadModel, blaming, first_line
from cnnbench.models.variants import variant_named
from cnnbench.pictures.data_set import Splits, load_splits


def line_of(text: str) -> str:
    """Returns the file and line in the module of faults, as an error names them."""
    lines = inspect.getsource(faults).splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.strip().startswith(text)]
    return f"faults.py:{number}"


def test_what_answers_with_probabilities_can_be_tried(
    tiny_splits: Splits, tmp_path: Path, own_cache: Path
) -> None:
    try_model(variant_named("faults:subclassed_and_called"), tiny_splits)
    root = write_pictures(tmp_path / "three", ("cats", "dogs", "owls"), train=1, validation=1)
    three = load_splits(root, image_size=24, cache=own_cache)
    try_model(variant_named("faults:three_classes"), three)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("raises", "model can't be made"),
        ("raises_in_call", "call fails"),
        ("raises_in_training", "training fails"),
    ],
)
def test_an_error_names_the_users_line(tiny_splits: Splits, name: str, what: str) -> None:
    with pytest.raises(BadModel) as raised:
        try_model(variant_named(f"faults:{name}"), tiny_splits)
    text = str(raised.value)
    line = line_of(f'raise RuntimeError("this {what}")')
    assert text.startswith(f"faults:{name} failed in ")
    assert text.endswith(f"{line}: RuntimeError: this {what}.")
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


WRONG_SHAPE = r"\(None, 1\), or.*\(None, 2\)\. Received: output_shape="
NO_PROBABILITY = "end it with a sigmoid or a softmax. Received: answers from"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong_shape", WRONG_SHAPE + r"\(None, 5\)"),
        ("named_outputs", WRONG_SHAPE + r"\{'answer': \(None, 1\)\}"),
        ("subclassed_with_named_outputs", WRONG_SHAPE + r"\{'answer': \(None, 1\)\}"),
        ("wrong_input", r"input shape \(None, 24, .*=\(None, 40, 40, 3\)"),
        ("logits", NO_PROBABILITY),
        ("linear", NO_PROBABILITY),
        ("two_sigmoids", "add up to 1 for each picture: end it with a softmax. Received: sums"),
    ],
)
def test_other_shapes_and_answers_are_refused_with_what_is_expected(
    tiny_splits: Splits, name: str, message: str
) -> None:
    with pytest.raises(BadModel, match=message) as raised:
        try_model(variant_named(f"faults:{name}"), tiny_splits)
    assert f"{line_of(f'def {name}(')}) must" in str(raised.value)


def test_an_error_elsewhere_is_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), blaming("faults:healthy"):
        1 / 0  # noqa: B018


def wrapped_error() -> None:
    try:
        faults.raises((24, 24, 3))
    except RuntimeError as error:
        raise KeyError("wrapped") from error


def test_an_error_that_is_wrapped_names_its_cause() -> None:
    line = line_of('raise RuntimeError("this model can')
    with pytest.raises(BadModel, match=f"{line}: RuntimeError: "), blaming("faults:raises"):
        wrapped_error()


class Raises(keras.Layer):
    def call(self, values):
        raise ValueError("first.\nsecond.")


def test_the_message_of_keras_is_read_without_what_is_around_it() -> None:
    with pytest.raises(ValueError, match="calling") as raised:
        keras.Sequential([Raises(), keras.layers.Dense(3)])(np.zeros((1, 4)))
    assert first_line(raised.value) == "first."
