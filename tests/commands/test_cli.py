"""The command line, as a user types it: the commands that need no file of their own."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from factories import measurement
from suite_runs import run_command

from cnnbench.cli import main
from cnnbench.commands import pack, predict
from cnnbench.commands.flags import add_flags, options_of
from cnnbench.machine.backends import PACKAGES
from cnnbench.report.frames import report_of, write_report
from cnnbench.session.options import Options
from cnnbench.session.workers.process import JobError

ROOT = Path(__file__).parents[2]
EXAMPLE = sorted((ROOT / "reports/examples").iterdir())[0]


def test_init_writes_the_suites_their_thresholds_and_a_workflow(tmp_path):
    assert main(["init", str(tmp_path)]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "suites").iterdir()}
    expected = {path.name for path in ROOT.glob("suites/*.py")} - {"__init__.py"}
    assert set(written) == expected | {"targets.toml"}
    assert all(text == (ROOT / "suites" / name).read_text() for name, text in written.items())
    assert tomllib.loads(written["targets.toml"])["default"]
    workflow = tmp_path / ".github/workflows/cnnbench.yml"
    assert "pytest suites --benchmark-only" in workflow.read_text()


def test_init_writes_nothing_where_a_file_exists(tmp_path, capsys):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/targets.toml").write_text("# mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "suites/targets.toml" in capsys.readouterr().err
    assert (tmp_path / "suites/targets.toml").read_text() == "# mine"
    assert not (tmp_path / ".github").exists()


def test_run_collects_the_installed_suites_for_the_options_given(tiny_folder, tmp_path):
    options = f"--data={tiny_folder}", "--variants=wide", "--seeds=3-3"
    done = run_command("run", *options, "--", "--collect-only", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "test_training.py::test_training_finished[wide-3]" in done.stdout
    assert "test_data.py::test_held_out" in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [("--seeds=x", "seeds: expected a whole number"), ("--data=nowhere", "root=nowhere")],
)
def test_bad_input_of_run_ends_with_pytest_s_exit_code(option, message, capfd):
    assert main(["run", option]) == pytest.ExitCode.USAGE_ERROR
    assert message in capfd.readouterr().err


# pack and show


@pytest.fixture
def report(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_report(report_of([measurement()]), folder)
    return folder


def test_a_pack_lies_beside_the_report_and_is_shown_as_the_report_is(report, capsys):
    assert main(["pack", str(report)]) == 0
    out = report.with_name("run.zip")
    assert f"pack: {out} (" in capsys.readouterr().out
    shown = []
    for path in (report, out):
        assert main(["show", str(path)]) == 0
        shown.append(capsys.readouterr().out.replace(str(path), ""))
    assert shown[0] == shown[1]
    assert "documented" in shown[0]


def test_an_existing_pack_is_replaced_when_asked(report, tmp_path, capsys):
    arguments = ["pack", str(report), "--out", str(tmp_path / "mine.zip")]
    assert [main(arguments), main(arguments)] == [0, 2]
    assert "--replace" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0


def test_the_newest_report_is_shown(tmp_path, capsys):
    for name in ("20260102T000000Z_b", "20260101T000000Z_a", "20260103T000000Z_empty"):
        (tmp_path / name).mkdir()
        if "empty" not in name:
            (tmp_path / name / "journal.jsonl").touch()
    assert main(["show", "--report-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"report: {tmp_path / '20260102T000000Z_b'}\n")


# train and predict


@pytest.fixture(scope="module")
def classifier(tiny_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    options = "--variant=single-block", "--epochs=4", "--image-size=24"
    done = run_command("train", "--data", str(tiny_folder), "--out", "o", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4" in done.stdout
    assert "held-out accuracy" in done.stdout
    assert done.stderr == ""  # no log of TensorFlow's
    return folder / "o"


def test_predict_names_class_probability_and_file_and_goes_on_after_a_damaged_one(
    classifier, tiny_folder, tmp_path, capfd
):
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


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show", "There is no report"),
        ("show nowhere", "No such report folder"),
        ("pack .", "No report in this folder"),
        ("compare nowhere nowhere", "No such report folder"),
        ("predict nowhere x.png", "No such picture or folder. Received: 'x.png'"),
        ("predict nowhere empty", "No pictures in this folder"),
        ("predict empty mine/cat.png", "No classifier there: model.json is absent"),
        ("train --out o --variant x", "Unknown variant"),
        ("train --out o --data nowhere", "Received: root=nowhere"),
        ("train --out o --epochs 0", "epochs: expected a whole number"),
        ("train --out o --seed -1", "--seed: expected a whole number"),
        ("train --out mine", "The folder is not empty"),
        ("train --out o --data leaking", "validation/dogs/copy.png"),
        ("ab nothing", "A: expected one of documented, "),
        ("ab documented threads=0", "B: threads: expected a whole number"),
        ("ab documented", "A and B are equal"),
        ("ab wide --pairs 2", "--pairs: expected a whole number of at least 3"),
        ("ab wide --pairs 9 --max-pairs 8", "--max-pairs: expected at least as many"),
        ("ab wide --clock cpu --device gpu", "--clock: expected wall for a GPU"),
        ("ab wide --variant x", "Unknown variant"),
        ("ab wide --backend x", "Received: 'x'"),
        ("ab wide --backend jax", "The backend 'jax' is not installed"),
        ("ab wide --data nowhere", "Received: root=nowhere"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    arguments, message, tiny_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("mine").mkdir()
    Path("mine", "cat.png").touch()
    monkeypatch.setattr(predict, "WorkerProcess", None)  # no backend is loaded
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setitem(PACKAGES, "jax", ("no_such_package",))
    if "leaking" in arguments:
        shutil.copytree(tiny_folder, "leaking")
        shutil.copy("leaking/train/dogs/007.png", "leaking/validation/dogs/copy.png")
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("cnnbench: error: ")
    assert message in error
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("wrong"), 2, "cnnbench: error: wrong\n"),
        (JobError("a", "it broke", "line 7"), 2, "cnnbench: error: a: it broke\nline 7\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_an_exit_code_and_a_message(error, code, message, monkeypatch, capsys):
    def run(parsed):
        raise error

    monkeypatch.setattr(pack, "run", run)
    assert main(["pack", "x"]) == code
    assert capsys.readouterr().err == message


def test_a_command_ends_in_silence_when_nobody_reads_on():
    with subprocess.Popen(
        [sys.executable, "-m", "cnnbench.cli", "show", str(EXAMPLE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# Options

NAMES = ("seeds", "image_size", "data")


def parsed(*arguments: str, **defaults: str) -> Options:
    parser = argparse.ArgumentParser()
    add_flags(parser, NAMES, **defaults)
    return options_of(parser.parse_args(arguments), NAMES)


def test_what_is_given_goes_before_a_commands_default_and_that_before_the_option_s():
    given = parsed("--seeds", "7-7", "--data", "x", "--image-size", "16", seeds="0,1")
    assert given == Options(seeds=(7,), data=Path("x"), image_size=16)
    assert parsed(seeds="1-2") == Options(seeds=(1, 2))
    assert parsed() == Options()


def test_all_bad_values_are_reported_at_once():
    with pytest.raises(ValueError, match=r"(?s)seeds: expected.*'x'.*image-size: expected.*'7'"):
        parsed("--seeds", "x", "--image-size", "7")
