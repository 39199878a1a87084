"""A user's own model is tried before it is trained, and each fault names its line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import faults
import keras
import numpy as np
import pytest
from tiny import write_pictures

from cnnbench.models.evaluation import dead_units
from cnnbench.models.network import build_model, try_model
from cnnbench.models.user_errors import BadModel, blaming, first_line
from cnnbench.models.variants import variant_named
from cnnbench.pictures.data_set import Splits, load_splits
from cnnbench.training.train import train

SHAPE = (24, 24, 3)


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> dict[int, Splits]:
    """Pictures of two and of three classes."""
    made = {}
    for classes in (2, 3):
        root = tmp_path_factory.mktemp("pictures") / f"{classes}"
        write_pictures(root, ("cats", "dogs", "owls")[:classes], train=1, validation=1)
        made[classes] = load_splits(root, image_size=24, cache=own_cache)
    return made


@pytest.fixture
def tried(splits: dict[int, Splits]) -> Callable[..., None]:
    def tried(name: str, classes: int = 2) -> None:
        try_model(variant_named(f"faults:{name}"), splits[classes])

    return tried


def line_of(text: str) -> str:
    """Returns the file and line in the module of faults, as an error names them."""
    lines = inspect.getsource(faults).splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.strip() == text]
    return f"faults.py:{number}"


def test_what_answers_with_probabilities_can_be_tried(tried: Callable[..., None]) -> None:
    tried("subclassed_and_called")
    tried("three_classes", classes=3)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (
            "raises",
            'raise RuntimeError("this model can\'t be made")',
            "RuntimeError: this model can't be made.",
        ),
        (
            "raises_in_call",
            'raise RuntimeError("this call fails")',
            "RuntimeError: this call fails.",
        ),
        (
            "raises_in_training",
            'raise RuntimeError("this training fails")',
            "RuntimeError: this training fails.",
        ),
    ],
)
def test_an_error_names_the_users_line(
    tried: Callable[..., None], name: str, line: str, message: str
) -> None:
    with pytest.raises(BadModel) as raised:
        tried(name)
    text = str(raised.value)
    assert text.startswith(f"faults:{name} failed in ")
    assert f"{line_of(line)}: " in text
    assert message in text
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong_shape", r"Received: output_shape=\(None, 5\)"),
        ("named_outputs", r"Received: output_shape=\{'answer': \(None, 1\)\}"),
        ("subclassed_with_named_outputs", r"Received: output_shape=\{'answer': \(None, 1\)\}"),
    ],
)
def test_another_output_shape_is_told_with_the_shapes_that_are_expected(
    tried: Callable[..., None], name: str, message: str
) -> None:
    with pytest.raises(BadModel, match=message) as raised:
        tried(name)
    assert line_of(f"def {name}(input_shape: Shape) -> keras.Model:") in str(raised.value)
    assert "(None, 1), or" in str(raised.value)
    assert "(None, 2)." in str(raised.value)


def test_another_input_size_is_told(
    tried: Callable[..., None],
) -> None:
    with pytest.raises(BadModel, match=r"input shape \(None, 24, .*=\(None, 40, 40, 3\)"):
        tried("wrong_input")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("logits", "end it with a sigmoid or a softmax. Received: answers from"),
        ("linear", "end it with a sigmoid or a softmax. Received: answers from"),
        ("two_sigmoids", "add up to 1 for each picture: end it with a softmax. Received: sums"),
    ],
)
def test_answers_that_are_no_probabilities_are_told(
    tried: Callable[..., None], name: str, message: str
) -> None:
    with pytest.raises(BadModel, match=message):
        tried(name)


def test_a_subclassed_model_is_trained_as_the_same_layers_in_a_row_are(
    tiny_splits: Splits,
) -> None:
    own, same = (
        train(f"faults:{name}", tiny_splits, epochs=1).run for name in ("subclassed", "healthy")
    )
    assert own.history == same.history
    assert list(own.dead_units.values()) == list(same.dead_units.values())


def test_dead_units_of_a_subclassed_model_are_seen() -> None:
    model = build_model(variant_named("faults:subclassed"), SHAPE)
    dense = model.stack[-2]
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel, bias - 1000])
    pictures = np.full((3, *SHAPE), 128, np.uint8)
    assert dead_units(model, pictures)[dense.name] == 1.0


def test_an_error_elsewhere_is_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), blaming("faults:healthy"):
        1 / 0  # noqa: B018


def test_the_message_of_keras_is_read_without_what_is_around_it() -> None:
    layer = keras.layers.Dense(3)
    with pytest.raises(ValueError, match="calling") as raised:
        keras.Sequential([layers_that_raise(), layer])(np.zeros((1, 4)))
    assert first_line(raised.value) == "first."


def layers_that_raise() -> keras.Layer:
    class Raises(keras.Layer):
        def call(self, values):
            raise ValueError("first.\nsecond.")

    return Raises()
