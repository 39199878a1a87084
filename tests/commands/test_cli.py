"""The command line, as a user types it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite_runs import run_command

from cnnbench.cli import main
from cnnbench.commands import pack, predict
from cnnbench.session.workers.process import JobError

EXAMPLE = sorted((Path(__file__).parents[2] / "reports/examples").iterdir())[0]


@pytest.fixture(scope="module")
def classifier(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    options = "--variant=single-block", "--epochs=4", "--image-size=24"
    done = run_command("train", "--data", str(tiny_folder), "--out", "o", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stdout
    assert "held-out accuracy" in done.stdout
    assert done.stderr == ""  # no log of TensorFlow's
    return folder / "o"


def test_predict_names_class_probability_and_file_and_goes_on_after_a_damaged_one(
    classifier: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dog = tiny_folder / "validation" / "dogs" / "001.png"
    bad = tmp_path / "bad.png"
    bad.write_bytes(dog.read_bytes()[:150])
    cats = tiny_folder / "validation" / "cats"
    assert main(["predict", *map(str, (classifier, bad, dog, cats))]) == 1
    found = capfd.readouterr()
    assert found.err.startswith("cnnbench: error: ")
    assert "bad.png" in found.err
    lines = [line.split("\t") for line in found.out.splitlines()]
    assert (lines[0][0], lines[0][2]) == ("dogs", str(dog))
    assert 0.5 < float(lines[0][1]) <= 1
    assert [line[0] for line in lines[1:]].count("cats") > 18
    assert len(lines) == 25


def test_a_wrong_classifier_is_reported_before_a_backend_is_loaded(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict, "WorkerProcess", None)
    assert main(["predict", str(tiny_folder), str(tiny_folder)]) == 2
    assert "No classifier there: model.json is absent" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show", "There is no report"),
        ("show nowhere", "No such report folder"),
        ("pack .", "No report in this folder"),
        ("compare nowhere nowhere", "No such report folder"),
        ("predict nowhere x.png", "No such picture or folder. Received: 'x.png'"),
        ("predict nowhere empty", "No pictures in this folder"),
        ("train --out o --variant x", "Unknown variant"),
        ("train --out o --data nowhere", "Received: root=nowhere"),
        ("train --out o --epochs 0", "epochs: expected a whole number"),
        ("train --out o --seed -1", "--seed: expected a whole number"),
        ("train --out mine", "The folder is not empty"),
        ("train --out o --data leaking", "validation/dogs/copy.png"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    arguments: str,
    message: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    if "leaking" in arguments:
        shutil.copytree(tiny_folder, "leaking")
        shutil.copy("leaking/train/dogs/007.png", "leaking/validation/dogs/copy.png")
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("cnnbench: error: ")
    assert message in error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("wrong"), 2, "cnnbench: error: wrong\n"),
        (JobError("training a", "it broke", "line 7"), 2, "line 7"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_an_exit_code_and_a_message(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(parsed: object) -> int:
        raise error

    monkeypatch.setattr(pack, "run", run)
    assert main(["pack", "x"]) == code
    found = capsys.readouterr().err
    assert message in found
    assert "Traceback" not in found


def test_a_command_ends_in_silence_when_nobody_reads_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cnnbench.cli", "show", str(EXAMPLE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
