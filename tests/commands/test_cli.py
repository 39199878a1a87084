"""The command line, as a user types it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite_runs import run_command

from cnnbench.cli import main
from cnnbench.commands import predict

QUICK = ("--epochs", "4", "--image-size", "24")


@pytest.fixture(scope="module")
def classifier(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    done = run_command(
        "train",
        *("--data", str(tiny_folder), "--variant", "single-block", "--seed", "0"),
        *("--out", "classifier", *QUICK),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stdout
    assert "held-out accuracy" in done.stdout
    assert done.stderr == ""  # no log of TensorFlow's
    return folder / "classifier"


@pytest.fixture(scope="module")
def predicted(
    classifier: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    """Answers to a damaged picture, a picture of a dog and a folder of cats."""
    folder = tmp_path_factory.mktemp("predicted")
    dog = tiny_folder / "validation" / "dogs" / "001.png"
    (folder / "bad.png").write_bytes(dog.read_bytes()[:150])
    cats = tiny_folder / "validation" / "cats"
    return run_command("predict", str(classifier), "bad.png", str(dog), str(cats), cwd=folder)


def test_predict_names_a_class_a_probability_and_the_file(
    predicted: subprocess.CompletedProcess[str],
) -> None:
    name, probability, path = predicted.stdout.splitlines()[0].split("\t")
    assert (name, Path(path).name) == ("dogs", "001.png")
    assert 0.5 < float(probability) <= 1


def test_predict_walks_folders_and_is_mostly_right(
    predicted: subprocess.CompletedProcess[str],
) -> None:
    names = [line.split("\t")[0] for line in predicted.stdout.splitlines()[1:]]
    assert len(names) == 24
    assert names.count("cats") > 18


def test_predict_names_a_damaged_picture_and_goes_on(
    predicted: subprocess.CompletedProcess[str],
) -> None:
    assert predicted.returncode == 1
    assert predicted.stderr.startswith("cnnbench: error: ")
    assert "bad.png" in predicted.stderr


def test_predict_ends_in_silence_when_nobody_reads_on(classifier: Path, tiny_folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cnnbench.cli", "predict", str(classifier), str(tiny_folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_wrong_classifier_is_reported_before_a_backend_is_loaded(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict, "WorkerProcess", None)
    assert main(["predict", str(tiny_folder), str(tiny_folder)]) == 2
    assert "No classifier there: model.json is absent" in capsys.readouterr().err


def test_a_model_of_their_own_that_fails_is_reported_with_its_line(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("def build(shape):\n    return {}['no such layer']\n")
    data = ("--data", str(tiny_folder), "--out", "o", *QUICK)
    done = run_command("train", "--variant", "mine:build", *data, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("mine:build failed in mine.py:2: KeyError: 'no such layer'.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "There is no report"),
        (["show", "nowhere"], "No such report folder"),
        (["predict", "nowhere", "x.png"], "No such picture or folder. Received: 'x.png'"),
        (["predict", "nowhere", "."], "No pictures in this folder"),
        (["train", "--out", "o", "--variant", "x"], "Unknown variant"),
        (["train", "--out", "o", "--data", "nowhere"], "Received: root=nowhere"),
        (["train", "--out", "o", "--epochs", "0"], "epochs: expected a whole number"),
        (["train", "--out", "o", "--seed", "-1"], "--seed: expected a whole number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("cnnbench: error: ")
    assert message in told


def test_train_keeps_what_stands_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = run_command("train", "--out", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "The folder is not empty" in done.stderr


def test_a_leak_is_told_by_train_too(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "leaking"
    shutil.copytree(tiny_folder, folder)
    shutil.copy(folder / "train/dogs/007.png", folder / "validation/dogs/copy.png")
    done = run_command("train", "--data", str(folder), "--out", "o", cwd=tmp_path)
    assert done.returncode == 2
    assert "validation/dogs/copy.png" in done.stderr
