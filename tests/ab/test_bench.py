"""`cnnbench ab` with real processes, on tiny pictures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from suite_runs import ROOT, run_command

from cnnbench.ab.bench import Bench
from cnnbench.ab.forks import Template
from cnnbench.ab.sides import Folder, Side
from cnnbench.ab.template import can_fork
from cnnbench.cli import main
from cnnbench.machine.place import Place
from cnnbench.models.variants import Variant, variant_named
from cnnbench.pictures.data_set import Splits
from cnnbench.session.workers.process import JobError

MODEL = """
import keras

def build(input_shape):
    inputs = keras.Input(input_shape)
    outputs = keras.layers.Rescaling(1 / 255)(inputs)
    for _ in range({layers}):
        outputs = keras.layers.Conv2D({filters}, 3, padding="same")(outputs)
    outputs = keras.layers.Dense(1, "sigmoid")(keras.layers.Flatten()(outputs))
    return keras.Model(inputs, outputs)

def dying(input_shape):
    import os
    print("the model's last words", flush=True)
    os._exit(3)

def broken(input_shape):
    raise RuntimeError("no such layer")
"""
BROKEN = variant_named("mymodel:broken")
QUICK = ("--workload", "inference", "--image-size", "24", "--pairs", "3", "--max-pairs", "4")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's model that becomes many times slower: `fast`, then `slow`."""
    top = tmp_path_factory.mktemp("repository")
    git(top, "init", "--quiet")
    for tag, layers, filters in (("fast", 1, 2), ("slow", 6, 32)):
        (top / "mymodel.py").write_text(MODEL.format(layers=layers, filters=filters))
        git(top, "add", "mymodel.py")
        git(top, "commit", "--quiet", "--message", tag)
        git(top, "tag", tag)
    return top


def side(name: str, folder: Path, variant: Variant | None = None) -> Side:
    return Side(
        name,
        variant or variant_named("single-block"),
        Place("tensorflow", "cpu", 1),
        batch_size=8,
        folder=Folder(folder),
    )


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


# The bench


@pytest.fixture(scope="module")
def bench(checkout: Path, tiny_splits: Splits) -> Iterator[Bench]:
    before = children()
    sides = (side("A", checkout), side("B", checkout))
    with Bench(sides, tiny_splits, workload="train") as bench:
        yield bench
    assert children() == before


def test_equal_sides_are_measured(bench: Bench) -> None:
    pair = bench.pair(0)
    assert len(pair.rounds) == 12
    assert abs(pair.log_ratio("cpu")) < 1


def test_a_killed_process_is_told(bench: Bench) -> None:
    before = children()
    with bench.processes(3, np.random.default_rng(0)) as timers:
        for pid in children() - before:
            os.kill(pid, 9)
        with pytest.raises(
            JobError, match=r"A: the worker process ended by signal 9 \(tensorflow on cpu\)"
        ):
            timers["A"](1)


def test_a_model_that_cant_be_built_is_told_and_the_next_pair_can(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(bench.sides, "B", side("B", bench.sides["B"].folder.root, BROKEN))
        with pytest.raises(
            JobError, match=r"B: mymodel:broken failed in mymodel.py:\d+: .*no such layer"
        ):
            bench.pair(4)
    assert bench.pair(5).number == 5


def test_where_a_fork_is_not_safe_each_process_is_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = Template.wait

    def wait_and_see_threads(template: Template) -> None:
        wait(template)
        template.can_fork = False

    monkeypatch.setattr(Template, "wait", wait_and_see_threads)
    before = children()
    assert bench.pair(6).number == 6
    assert not children() & before  # even what would have forked


def test_a_fork_is_safe_from_one_thread_only(tmp_path: Path) -> None:
    tasks = tmp_path / "task"
    assert not can_fork(tasks)  # a system that does not say
    tasks.mkdir()
    (tasks / "1").touch()
    assert can_fork(tasks)
    (tasks / "2").touch()
    assert not can_fork(tasks)


# The command


@pytest.fixture(scope="module")
def compared(checkout: Path, tiny_folder: Path) -> subprocess.CompletedProcess[str]:
    return run_command(
        "ab",
        "fast",
        "slow",
        f"--data={tiny_folder}",
        "--variant=mymodel:build",
        "--clock=cpu",
        *QUICK,
        cwd=checkout,
    )


def report(folder: Path) -> Path:
    (found,) = (folder / "reports").glob("ab-*")
    return found


def test_a_model_that_got_many_times_slower_fails(
    compared: subprocess.CompletedProcess[str],
) -> None:
    assert compared.returncode == 1, compared.stderr
    assert "inference on cpu: 3 to 4 pairs of fresh processes" in compared.stdout
    assert "\nFAIL: B is slower" in compared.stdout


def test_the_report_names_both_revisions_and_holds_each_round(
    compared: subprocess.CompletedProcess[str], checkout: Path
) -> None:
    assert compared.returncode == 1
    content = json.loads((report(checkout) / "ab.json").read_text())
    assert [side["revision"] for side in content["sides"]] == ["fast", "slow"]
    assert len({side["commit"] for side in content["sides"]}) == 2
    assert content["result"]["verdict"] == "fail"
    assert content["text"] in compared.stdout
    assert str(checkout) not in json.dumps(content)
    with (report(checkout) / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == content["result"]["pairs"] * 12 * 2  # A and B


def test_checkouts_are_gone(compared: subprocess.CompletedProcess[str], checkout: Path) -> None:
    assert compared.returncode == 1
    listed = subprocess.run(
        ["git", "-C", str(checkout), "worktree", "list"], capture_output=True, text=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_a_side_that_cant_be_measured_is_exit_code_11_with_its_log(
    checkout: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    done = run_command(
        "ab",
        "documented",
        "mymodel:dying",
        f"--data={tiny_folder}",
        f"--report-dir={tmp_path}",
        *QUICK,
        cwd=checkout,
    )
    assert done.returncode == 11
    assert "B: the worker process ended with exit code 3" in done.stderr
    assert "the model's last words" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "A is neither a variant nor a git revision"),
        (["documented", "threads=0"], "B: threads: expected a whole number"),
        (["documented", "--pairs", "2"], "--pairs: expected a whole number of at least 3"),
        (["documented", "--variant", "x"], "Unknown variant"),
        (["documented", "--backend", "x"], "Received: 'x'"),
        (["documented", "wide", "--data", "nowhere"], "Received: root=nowhere"),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ab", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("cnnbench: error: ")
    assert message in told
    assert not (tmp_path / "reports").exists()


def test_what_was_finished_is_kept_when_it_is_told_to_go(tiny_folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cnnbench.cli",
            "ab",
            "single-block",
            "single-block",
            f"--data={tiny_folder}",
            "--image-size=24",
            "--min-effect=1e-9",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("first pair"):
            break
    below = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.stdout.close()
    assert process.wait(60) == 143
    with (report(tmp_path) / "pairs.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) >= 24
    assert json.loads((report(tmp_path) / "ab.json").read_text())["result"] is None
    assert psutil.wait_procs(below, timeout=30)[1] == []
