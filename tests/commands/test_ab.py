"""`cnnbench ab` around a comparison: exit codes, and a report that is cut short."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import pytest

from cnnbench.ab import run
from cnnbench.ab.pairs import Pair, Round
from cnnbench.ab.steps import Taken
from cnnbench.cli import main
from cnnbench.session.workers.process import JobError


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


class FakeBench:
    """B takes these times of A's in turn, and half as much CPU time; pair `last` is never done."""

    times, last = (1.0,), 99

    def __init__(self, sides: object, splits: object, *, workload: str, seed: int) -> None:
        print(workload, seed)

    def __enter__(self) -> FakeBench:
        return self

    def __exit__(self, *_: object) -> None: ...

    def pair(self, number: int) -> Pair:
        if number == self.last:
            os.kill(os.getpid(), signal.SIGTERM)
        wall = self.times[number % len(self.times)]
        return Pair(number, 1, 32, 32, (Round("A", Taken(1.0, 1.0), Taken(wall, wall / 2)),) * 12)


def test_a_side_that_cant_be_measured_is_exit_code_11_with_its_log(
    tiny_folder, monkeypatch, capsys
):
    def fail(*_: object, **__: object) -> None:
        raise JobError("B", "the worker process ended with exit code 3", "last words\n")

    monkeypatch.setattr(run, "compare_sides", fail)
    assert main(["ab", "documented", "wide", f"--data={tiny_folder}"]) == 11
    error = "cnnbench: error: B: the worker process ended with exit code 3\nlast words\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize(
    ("times", "options", "code", "words"),
    [
        ((1.0,), "", 0, "PASS: B is not slower by 3.0%"),
        ((1.04,), "--min-effect=0.05", 0, "PASS: B is not slower by 5.0%"),
        ((1.04,), "--alpha=0.02 --beta=0.03", 1, "(fails at 0.02)"),
        ((1.04,), "--alpha=0.02 --allow-inconclusive", 1, "(fails at 0.02)"),
        ((1.5,), "--clock=cpu --beta=0.03", 0, "(passes at 0.03)"),
        ((1.0,), "--budget=1e-9", 10, "from 2 pairs"),
        ((0.4, 0.5, 0.6), "", 10, "from 3 pairs"),  # sure, but the interval is not narrow
        ((0.4, 0.5, 0.6), "--allow-inconclusive", 0, "from 3 pairs"),
    ],
)
def test_options_decide_what_passes(times, options, code, words, tiny_folder, monkeypatch, capsys):
    monkeypatch.setattr(run, "open_bench", FakeBench)
    monkeypatch.setattr(FakeBench, "times", times)
    quick = ["--pairs=3", "--max-pairs=3", f"--data={tiny_folder}"]
    assert main(["ab", "wide", "wide", *quick, *options.split()]) == code
    told = capsys.readouterr().out
    assert "A and B are equal: any difference is noise." in told
    assert words in told


def test_what_was_finished_is_kept_when_it_is_told_to_go(tiny_folder, monkeypatch, capsys):
    monkeypatch.setattr(run, "open_bench", FakeBench)
    monkeypatch.setattr(FakeBench, "last", 1)
    with pytest.raises(SystemExit) as caught:
        main(["ab", "documented", "wide", f"--data={tiny_folder}", "--seed=3"])
    assert "train 3" in capsys.readouterr().out
    assert caught.value.code == 143
    (report,) = Path("reports").glob("ab-*")
    with (report / "pairs.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 24
    assert json.loads((report / "ab.json").read_text())["result"] is None
    assert main(["show", str(report)]) == 0
    assert "Stopped before a verdict" in capsys.readouterr().out
