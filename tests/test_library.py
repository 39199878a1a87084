"""The package without pytest, through its public names."""

import inspect
import re

import pytest

import cnnbench
from cnnbench.verdicts.checks import pictures, speed, training


@pytest.fixture(scope="module")
def splits(tiny_folder):
    return cnnbench.load_splits(str(tiny_folder), image_size=24)


@pytest.fixture(scope="module")
def trained(splits):
    return cnnbench.train("batchnorm", splits, seed=0, epochs=2)


def test_help_lists_every_public_name_with_a_line():
    assert sorted(re.findall(r"^    (\w+)  +\w", cnnbench.__doc__, re.M)) == cnnbench.__all__


def test_every_check_of_the_suites_is_public():
    for module in (pictures, speed, training):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("check_"):
                assert name in cnnbench.checks.__all__
                assert getattr(cnnbench.checks, name) is function


def test_evaluate_agrees_with_the_record_on_both_sides(trained, splits):
    found, run = cnnbench.evaluate(trained.model, splits), trained.run
    assert (found.train.accuracy, found.train.loss) == (run.train_accuracy, run.train_loss)
    assert (found.validation.accuracy, found.validation.loss) == (run.val_accuracy, run.val_loss)


def test_a_saved_classifier_predicts_files_as_the_model_does(
    trained, splits, tiny_folder, tmp_path
):
    cnnbench.save(trained, tmp_path / "new" / "classifier")
    files = [tiny_folder / name for name in splits.validation.names]
    said = cnnbench.predict(str(tmp_path / "new" / "classifier"), files)
    answers = cnnbench.evaluate(trained.model, splits).validation.probabilities[:, 0]
    for (word, sure), p in zip(said, answers, strict=True):
        assert (word, sure) == ("dogs" if p > 0.5 else "cats", pytest.approx(max(p, 1 - p)))


def test_without_a_folder_the_embedded_pictures_are_loaded(tiny_folder, monkeypatch):
    monkeypatch.setattr("cnnbench.pictures.data_set.drawn_set_directory", lambda cache: tiny_folder)
    splits = cnnbench.load_splits(image_size=24)
    assert (splits.name, len(splits.train.names)) == ("drawn", 96)


def test_what_a_notebook_shows_is_short(trained, splits):
    run = trained.run
    assert repr(run) == (
        f"TrainingRun('batchnorm', seed=0, epochs=2, val_accuracy={run.val_accuracy:.4f}, "
        f"generalization_gap={run.generalization_gap:+.4f}, seconds={run.seconds:.1f})"
    )
    assert repr(trained).startswith(f"Trained(run={run!r}, model=<Sequential ")
    assert repr(splits) == (
        "Splits(name='tiny', classes=('cats', 'dogs'), train=Split(96 pictures), "
        "validation=Split(48 pictures))"
    )
    assert len(repr(cnnbench.evaluate(trained.model, splits))) < 150


def test_measure_times_a_variant_in_this_process(splits):
    found = cnnbench.measure("single-block", splits, rounds=2, warmup_rounds=0)
    assert (found.row.variant, found.row.workload) == ("single-block", "inference")
    assert found.place.backend == "tensorflow"
    assert len(found.round_seconds) == 2
    assert repr(found).endswith(f"images_per_second={found.images_per_second:.0f})")
