"""`cnnbench baseline`, with made-up trainings."""

from __future__ import annotations

import json

import pytest
from answered import constant_run, runs_of

from cnnbench.cli import main
from cnnbench.session.workers.process import JobError
from cnnbench.stats.intervals import spread_of
from cnnbench.stats.power import smallest_difference
from cnnbench.verdicts.gates.baselines import read_baselines

BOTH = ("--variants", "documented,wide", "--seeds", "0-3")


@pytest.fixture
def trained(idle):
    idle.learn(*runs_of(10, 12, 11, 15), *runs_of(10, 9, 8, variant="wide"))
    idle.learn(constant_run(seed=3, variant="wide"))
    return idle


def command(*arguments: object) -> int:
    return main(["baseline", *map(str, arguments)])


def test_every_variant_is_stored_with_what_it_is_good_for(trained, tmp_path, capsys):
    path = tmp_path / "made" / "b.json"
    assert command("--out", path, *BOTH) == 0
    assert trained.asked == ["start", ["documented", "wide"], "8 trainings planned", "finish"]
    found = read_baselines(path)
    assert list(found) == ["documented", "wide"]
    assert found["documented"].accuracies == (0.90, 0.88, 0.89, 0.85)
    assert (found["wide"].seeds, found["wide"].collapsed) == ((0, 1, 2), (3,))
    assert json.loads(path.read_text())["environment"] == trained.environment
    report, documented, wide, last = capsys.readouterr().out.splitlines()
    sd = spread_of((0.90, 0.88, 0.89, 0.85)).sd
    assert documented == (
        "documented: held-out accuracy 0.8800 ± 0.0216 (mean ± sd, n=4 seeds); 8 new seeds will "
        f"find a drop of {smallest_difference(sd, 4, 8, 0.01):.4f} with 90 % power at 1% false "
        "alarms"
    )
    assert wide.endswith("; collapsed and left out: seeds [3]")
    assert (report, last) == ("report: reports/one", f"baseline: {path}")


def test_seeds_are_others_than_those_of_gates(idle, tmp_path):
    idle.learn(*runs_of(*[10] * 1020))
    assert command("--out", tmp_path / "b.json") == 0
    assert read_baselines(tmp_path / "b.json")["documented"].seeds == tuple(range(1000, 1020))


def test_bad_input_is_reported_before_anything_is_trained(trained, tmp_path, capsys):
    path = tmp_path / "b.json"
    path.write_text("mine")
    assert command("--out", path, "--seeds", "3,") == 2
    assert capsys.readouterr().err == (
        f"cnnbench: error: {path}: the file exists; name another one, or give --replace; "
        "--seeds: expected at least 2, received 1\n"
    )
    assert (path.read_text(), trained.asked) == ("mine", [])
    assert command("--out", path, "--replace", *BOTH) == 0
    assert len(read_baselines(path)) == 2


def refuse():
    raise FileNotFoundError("No such folder")


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("start", refuse, "No such folder"),
        ("leaks", ("train/1.png is val/1.png", "another"), "train/1.png is val/1.png\nanother"),
        (
            "outcomes",
            {("documented", 0): JobError("training", "ended by signal 9"), ("documented", 1): None},
            "A training failed, so nothing was stored: training: ended by signal 9",
        ),
        (
            "outcomes",
            {("documented", seed): constant_run(seed=seed) for seed in (0, 1)},
            "at least two seeds that learn",
        ),
    ],
)
def test_what_can_not_be_trained_is_not_stored_and_ends_the_session(
    idle, tmp_path, capsys, attribute, value, message
):
    setattr(idle, attribute, value)
    assert command("--out", tmp_path / "b.json", "--seeds", "0,1") == 2
    assert message in capsys.readouterr().err
    assert idle.asked[-1] == "finish"
    assert not (tmp_path / "b.json").exists()


def test_a_session_trains_and_reports(world, tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ("--data", tiny_folder, "--seeds", "1000-1001", "--image-size", 24)
    assert command("--out", "b.json", *options) == 0
    assert "2 trainings planned" in capsys.readouterr().out
    assert read_baselines(tmp_path / "b.json")["documented"].seeds == (1000, 1001)
    text = (tmp_path / "b.json").read_text()
    assert json.loads(text)["environment"]["backend"] == "tensorflow"
    assert str(tmp_path) not in text
    assert len(list((tmp_path / "reports").iterdir())) == 1
