"""A classifier that is kept in a folder and used again."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from cnnbench.models.variants import Variant
from cnnbench.training.classifier import MODEL_NAME, WEIGHTS_NAME, load_classifier, save
from cnnbench.training.train import train


@pytest.fixture(scope="module")
def saved(tiny_splits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    save(train(Variant("small", blocks=(4,)), tiny_splits, epochs=1), folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A classifier of its own for a test that damages it."""
    return shutil.copytree(saved, tmp_path / "classifier")


def test_an_own_model_is_rebuilt_by_its_function(tiny_splits, tiny_folder, tmp_path):
    trained = train("faults:healthy", tiny_splits, epochs=1)
    save(trained, tmp_path)
    answers = trained.model.predict_on_batch(tiny_splits.validation_pictures())[:, 0].astype(float)
    paths = [tiny_folder / name for name in tiny_splits.validation.names]
    assert load_classifier(tmp_path).predict(paths) == [
        ("dogs", pytest.approx(p)) if p > 0.5 else ("cats", pytest.approx(1 - p)) for p in answers
    ]


def test_weights_are_numbers_only(saved):
    with np.load(saved / WEIGHTS_NAME, allow_pickle=False) as file:
        assert {file[name].dtype for name in file.files} == {np.dtype("float32")}
    assert json.loads((saved / MODEL_NAME).read_text())["classes"] == ["cats", "dogs"]


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def test_weights_that_hold_code_are_refused_and_it_does_not_run(folder):
    payload = np.array([Payload(folder / "trace")], dtype=object)
    np.savez(folder / WEIGHTS_NAME, a=payload)
    with pytest.raises(ValueError, match=r"Damaged .*weights.npz: "):
        load_classifier(folder)
    assert not (folder / "trace").exists()


def test_weights_of_another_variant_are_refused(folder):
    description = json.loads((folder / MODEL_NAME).read_text())
    description["variant"] = asdict(Variant("documented"))
    (folder / MODEL_NAME).write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"does not hold the weights of 'documented'"):
        load_classifier(folder).model  # noqa: B018


@pytest.mark.parametrize(
    ("name", "damaged", "told"),
    [
        (WEIGHTS_NAME, lambda whole: whole[: len(whole) // 2], ""),
        (MODEL_NAME, lambda whole: b"{}", ""),
        (MODEL_NAME, lambda whole: b"[]", ""),
        (MODEL_NAME, lambda whole: b"not json", ""),
        (MODEL_NAME, lambda whole: whole.replace(b'"format": 1', b'"format": 9'), "expected form"),
    ],
    ids=["truncated", "empty", "list", "text", "format"],
)
def test_a_damaged_file_is_named(name, damaged, told, folder):
    (folder / name).write_bytes(damaged((folder / name).read_bytes()))
    with pytest.raises(ValueError, match=rf"Damaged .*{name}: {told}"):
        load_classifier(folder)


def test_a_folder_without_a_classifier_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No classifier there: model.json is absent"):
        load_classifier(tmp_path)
