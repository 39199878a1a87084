"""A classifier that is kept in a folder and used again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnnbench.models.variants import Variant
from cnnbench.pictures.data_set import Splits
from cnnbench.training.classifier import (
    MODEL_NAME,
    WEIGHTS_NAME,
    load_classifier,
    read_classifier,
    save,
)
from cnnbench.training.train import train


def kept(folder: Path, splits: Splits, variant: str) -> np.ndarray:
    """Trains and keeps a classifier; returns its answers to the held-out pictures."""
    trained = train(variant, splits, epochs=2)
    save(trained, folder)
    return np.asarray(trained.model.predict_on_batch(splits.validation_pictures()))


@pytest.mark.parametrize("name", ["documented", "batchnorm", "faults:healthy"])
def test_a_loaded_classifier_answers_as_the_trained_one(
    name: str, tiny_splits: Splits, tmp_path: Path
) -> None:
    answers = kept(tmp_path, tiny_splits, name)[:, 0]
    said = load_classifier(tmp_path).predict(tiny_splits.validation_pictures())
    expected = [("dogs", p) if p > 0.5 else ("cats", 1 - p) for p in answers.astype(float)]
    assert [name for name, _ in said] == [name for name, _ in expected]
    assert [p for _, p in said] == pytest.approx([p for _, p in expected], abs=1e-12)


def test_weights_are_numbers_only(tiny_splits: Splits, tmp_path: Path) -> None:
    kept(tmp_path, tiny_splits, "single-block")
    with np.load(tmp_path / WEIGHTS_NAME, allow_pickle=False) as file:
        assert {file[name].dtype for name in file.files} == {np.dtype("float32")}
    assert json.loads((tmp_path / MODEL_NAME).read_text())["classes"] == ["cats", "dogs"]


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


def test_weights_that_hold_code_are_refused_and_it_does_not_run(
    tiny_splits: Splits, tmp_path: Path
) -> None:
    kept(tmp_path, tiny_splits, "single-block")
    payload = np.array([Payload(tmp_path / "trace")], dtype=object)
    np.savez(tmp_path / WEIGHTS_NAME, a=payload)
    with pytest.raises(ValueError, match=r"weights.npz does not hold the weights of"):
        load_classifier(tmp_path)
    assert not (tmp_path / "trace").exists()


def test_weights_of_another_variant_are_refused(tiny_splits: Splits, tmp_path: Path) -> None:
    kept(tmp_path, tiny_splits, "single-block")
    description = json.loads((tmp_path / MODEL_NAME).read_text())
    description["variant"] = Variant("documented").to_dict()
    (tmp_path / MODEL_NAME).write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"does not hold the weights of 'documented'"):
        load_classifier(tmp_path)


def test_truncated_weights_are_refused(tiny_splits: Splits, tmp_path: Path) -> None:
    kept(tmp_path, tiny_splits, "single-block")
    whole = (tmp_path / WEIGHTS_NAME).read_bytes()
    (tmp_path / WEIGHTS_NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"weights.npz does not hold"):
        read_classifier(tmp_path)


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"format": 99}'])
def test_a_damaged_description_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / MODEL_NAME).write_text(text)
    (tmp_path / WEIGHTS_NAME).write_bytes(b"")
    with pytest.raises(ValueError, match=r"Damaged .*model.json"):
        read_classifier(tmp_path)


def test_a_folder_without_a_classifier_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No classifier there: model.json is absent"):
        read_classifier(tmp_path)
