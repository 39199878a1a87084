"""`cnnbench baseline`, with made-up trainings and real ones."""

from __future__ import annotations

import json

import pytest
from answered import LABELS, constant_run, runs_of
from factories import data_set

from cnnbench.cli import main
from cnnbench.commands import baseline
from cnnbench.commands.runs import Trained
from cnnbench.stats.intervals import spread_of
from cnnbench.stats.power import smallest_difference
from cnnbench.verdicts.gates.baselines import read_baselines

RUNS = {
    "documented": runs_of(10, 12, 11, 15),
    "wide": [*runs_of(10, 9, 8, variant="wide"), constant_run(seed=7, variant="wide")],
}


@pytest.fixture
def asked(monkeypatch):
    """Options that were trained with; what was trained is made up."""
    found = []

    def train(options):
        found.append(options)
        return Trained(data_set(validation_labels=LABELS), {"commit": "abc"}, RUNS)

    monkeypatch.setattr(baseline, "trained", train)
    return found


def command(*arguments: object) -> int:
    return main(["baseline", *map(str, arguments)])


def test_seeds_are_others_than_those_of_gates(asked, tmp_path):
    assert command("--out", tmp_path / "b.json") == 0
    command("--out", tmp_path / "c.json", "--seeds", "3,5", "--variants", "wide", "--epochs", 4)
    found = [(one.seeds, [variant.name for variant in one.variants]) for one in asked]
    assert found == [(tuple(range(1000, 1020)), ["documented"]), ((3, 5), ["wide"])]
    assert asked[1].epochs == 4


def test_every_variant_is_stored_with_what_it_is_good_for(asked, tmp_path, capsys):
    path = tmp_path / "made" / "b.json"
    command("--out", path)
    found = read_baselines(path)
    assert list(found) == ["documented", "wide"]
    assert found["documented"].accuracies == (0.90, 0.88, 0.89, 0.85)
    assert (found["wide"].seeds, found["wide"].collapsed) == ((0, 1, 2), (7,))
    assert json.loads(path.read_text())["environment"] == {"commit": "abc"}
    documented, wide, last = capsys.readouterr().out.splitlines()
    sd = spread_of((0.90, 0.88, 0.89, 0.85)).sd
    assert documented == (
        "documented: held-out accuracy 0.8800 ± 0.0216 (mean ± sd, n=4 seeds); 8 new seeds will "
        f"find a drop of {smallest_difference(sd, 4, 8, 0.01):.4f} with 90 % power at 1% false "
        "alarms"
    )
    assert wide.endswith("; collapsed and left out: seeds [7]")
    assert last == f"baseline: {path}"


def test_bad_input_is_told_before_anything_is_trained(asked, tmp_path, capsys):
    path = tmp_path / "b.json"
    path.write_text("mine")
    assert command("--out", path, "--seeds", "4,") == 2
    assert capsys.readouterr().err == (
        f"cnnbench: error: {path}: the file exists; name another one, or give --replace; "
        "--seeds: expected at least 2, received 1\n"
    )
    assert (path.read_text(), asked) == ("mine", [])
    assert command("--out", path, "--replace", "--seeds", "4,5") == 0
    assert set(read_baselines(path)) == set(RUNS)


def test_seeds_that_do_not_learn_are_no_baseline(asked, tmp_path, capsys, monkeypatch):
    path = tmp_path / "b.json"
    dead = [constant_run(seed=seed) for seed in (1, 2)]
    monkeypatch.setitem(RUNS, "documented", [*runs_of(10), *dead])
    assert command("--out", path) == 2
    assert "at least two seeds that learn" in capsys.readouterr().err
    assert not path.exists()


def test_real_trainings_are_stored(tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained = ("--data", tiny_folder, "--variants", "single-block", "--seeds", "1000-1001")
    assert command("--out", "b.json", *trained, "--epochs", 4, "--image-size", 24) == 0
    assert "2 trainings planned" in capsys.readouterr().out
    found = read_baselines(tmp_path / "b.json")["single-block"]
    assert (found.seeds, found.collapsed) == ((1000, 1001), ())
    assert min(found.accuracies) > 0.6
    assert (found.identity["epochs"], found.identity["device"]) == (4, "cpu")
    text = (tmp_path / "b.json").read_text()
    assert json.loads(text)["environment"]["backend"] == "tensorflow"
    assert str(tmp_path) not in text
    assert len(list((tmp_path / "reports").iterdir())) == 1
