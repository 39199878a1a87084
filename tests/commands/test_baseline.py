"""`cnnbench baseline`: made-up trainings in this process, and real ones as a user starts them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from answered import LABELS, constant_run, runs_of
from factories import data_set
from suite_runs import run_command

from cnnbench.cli import main
from cnnbench.commands import baseline
from cnnbench.models.variants import VARIANTS
from cnnbench.stats.intervals import spread_of
from cnnbench.stats.power import smallest_difference
from cnnbench.verdicts.gates.baselines import read_baselines

RUNS = {
    "documented": runs_of(10, 12, 11, 15),
    "wide": [*runs_of(10, 9, 8, variant="wide"), constant_run(seed=7, variant="wide")],
}


@pytest.fixture
def trained(monkeypatch):
    """Options that were trained with; what was trained is made up."""
    asked = []
    session = SimpleNamespace(
        data_set=data_set(validation_labels=LABELS), environment={"commit": "abc"}
    )

    def train(options):
        asked.append(options)
        return session, RUNS

    monkeypatch.setattr(baseline, "trained", train)
    return asked


def command(*arguments: object) -> int:
    return main(["baseline", *map(str, arguments)])


def test_seeds_are_others_than_those_of_gates(trained, tmp_path):
    assert command("--out", tmp_path / "b.json") == 0
    (options,) = trained
    assert (options.seeds, options.variants) == (
        tuple(range(1000, 1020)),
        (VARIANTS["documented"],),
    )


def test_options_are_those_of_pytest(trained, tmp_path):
    command("--out", tmp_path / "b.json", "--seeds", "3,5", "--variants", "all", "--epochs", 4)
    (options,) = trained
    assert (options.seeds, options.epochs, len(options.variants) > 5) == ((3, 5), 4, True)


def test_every_variant_is_stored_with_its_seeds_and_the_environment(trained, tmp_path):
    path = tmp_path / "made" / "b.json"
    command("--out", path)
    found = read_baselines(path)
    assert list(found) == ["documented", "wide"]
    assert found["documented"].accuracies == (0.90, 0.88, 0.89, 0.85)
    assert (found["wide"].seeds, found["wide"].collapsed) == ((0, 1, 2), (7,))
    assert json.loads(path.read_text())["environment"] == {"commit": "abc"}


def test_what_it_is_good_for_is_told(trained, tmp_path, capsys):
    command("--out", tmp_path / "b.json")
    documented, wide, last = capsys.readouterr().out.splitlines()
    sd = spread_of((0.90, 0.88, 0.89, 0.85)).sd
    assert documented == (
        "documented: held-out accuracy 0.8800 ± 0.0216 (mean ± sd, n=4 seeds); 8 new seeds will "
        f"find a drop of {smallest_difference(sd, 4, 8, 0.01):.4f} with 90 % power at 1% false "
        "alarms"
    )
    assert wide.endswith("; collapsed and left out: seeds [7]")
    assert last == f"baseline: {tmp_path / 'b.json'}"


def test_a_file_is_written_over_only_when_asked(trained, tmp_path, capsys):
    path = tmp_path / "b.json"
    path.write_text("mine")
    assert command("--out", path) == 2
    assert (path.read_text(), trained) == ("mine", [])
    message = "The file exists; name another one, or give --replace. Received: out="
    assert f"cnnbench: error: {message}{str(path)!r}" in capsys.readouterr().err
    assert command("--out", path, "--replace") == 0
    assert set(read_baselines(path)) == set(RUNS)


def test_one_seed_is_no_baseline(trained, tmp_path, capsys):
    path = tmp_path / "b.json"
    assert command("--out", path, "--seeds", "4-4") == 2
    assert "--seeds: a baseline needs at least 2. Received: (4,)" in capsys.readouterr().err
    assert (path.exists(), trained) == (False, [])
    assert command("--out", path, "--seeds", "4,5") == 0


def test_seeds_that_do_not_learn_are_no_baseline(trained, tmp_path, capsys, monkeypatch):
    path = tmp_path / "b.json"
    dead = [constant_run(seed=seed) for seed in (1, 2)]
    monkeypatch.setitem(RUNS, "documented", [*runs_of(10), *dead])
    assert command("--out", path) == 2
    assert "at least two seeds that learn" in capsys.readouterr().err
    assert not path.exists()


def test_real_trainings_are_stored(tiny_folder: Path, tmp_path: Path) -> None:
    done = run_command(
        *("baseline", "--out", "made/b.json", "--data", str(tiny_folder)),
        *("--variants", "single-block", "--seeds", "1000-1002", "--workers", "1"),
        *("--epochs", "4", "--image-size", "24"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "3 trainings planned" in done.stdout
    assert done.stdout.endswith("baseline: made/b.json\n")
    found = read_baselines(tmp_path / "made" / "b.json")["single-block"]
    assert (found.seeds, found.collapsed) == ((1000, 1001, 1002), ())
    assert min(found.accuracies) > 0.6
    assert (found.identity["epochs"], found.identity["device"]) == (4, "cpu")
    environment = json.loads((tmp_path / "made" / "b.json").read_text())["environment"]
    assert environment["backend"] == "tensorflow"
    assert str(tmp_path) not in (tmp_path / "made" / "b.json").read_text()
    assert len(list((tmp_path / "reports").iterdir())) == 1
