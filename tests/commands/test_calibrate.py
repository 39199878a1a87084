"""`cnnbench calibrate`: made-up trainings in this process, and real ones as a user starts them."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from answered import LABELS, constant_run, run_of
from suite_runs import run_command, run_pytest

from cnnbench.cli import main
from cnnbench.stats.intervals import spread_of
from cnnbench.verdicts.calibration import Calibrator, Gated
from cnnbench.verdicts.gates.baselines import read_baselines
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.targets import read_targets

OWN = "answered:run_of"
ODD = 'les "chats" d\'été 🐈'
BOTH = ("--variants", f"documented,{OWN}")
PROPOSED = {
    "accuracy": Gated("accuracy", 0.815, 1, 3, 400, 0.031),
    "train_accuracy": Gated("train_accuracy", 0.895, 0, 1, 400, None),
    "generalization_gap": Gated("generalization_gap", 0.055, 0, 2, 400, 0.042),
}


def runs_under(variant: str, wrong: float):
    rng = np.random.default_rng(1)
    for seed in range(1000, 1020):
        missed = rng.choice(100, round(rng.normal(wrong, 1.5)), replace=False).tolist()
        run = run_of(missed, seed=seed, variant=variant)
        yield replace(run, train_accuracy=run.val_accuracy + rng.normal(0.05, 0.005))


class Made(Calibrator):
    """Measures the noise, and resamples nothing."""

    given: list[tuple]

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Made.given.append(arguments)

    def proposed(self, check):
        return PROPOSED[check]

    def drop(self):
        return Gated("accuracy_drop", 0.0234, 0, 0, 400, None)


@pytest.fixture(autouse=True)
def made(monkeypatch):
    Made.given = []
    monkeypatch.setattr("cnnbench.verdicts.calibration.Calibrator", Made)


@pytest.fixture
def runs(idle):
    """The runs of the documented variant; the other has a seed that does not learn."""
    documented = list(runs_under("documented", 15))
    idle.learn(*documented, *runs_under(OWN, 8), constant_run(seed=1019, variant=OWN))
    idle.data_set = replace(idle.data_set, name=ODD, train_pictures=300)
    return documented


def command(*arguments: object) -> int:
    return main(["calibrate", *map(str, arguments)])


def test_proposals_are_read_as_targets(runs, tmp_path):
    path = tmp_path / "made" / "targets.toml"
    assert command("--out", path, *BOTH) == 0
    targets = read_targets(path).content[ODD]
    assert list(targets) == ["documented", OWN]
    noise = Calibrator(runs, LABELS, Levels(), 3, 100)
    expected = {}
    for check, proposed in PROPOSED.items():
        expected[check] = proposed.threshold
        expected[f"{check}_sd"] = pytest.approx(noise.known(check).sd, rel=5e-3)
        expected[f"{check}_seeds"] = 20
    assert targets["documented"] == expected
    assert targets[OWN]["accuracy_seeds"] == 19


def test_what_was_measured_is_in_comments_and_on_screen(runs, tmp_path, capsys):
    path, baseline = tmp_path / "targets.toml", tmp_path / "b.json"
    assert command("--out", path, "--baseline", baseline, *BOTH) == 0
    out, text = capsys.readouterr().out, path.read_text(encoding="utf-8")
    head, documented, own = text.split("\n\n")
    assert head.splitlines() == [
        "# Proposed by `cnnbench calibrate` from 20 seeds per variant; review, then commit.",
        "# 300 training and 100 held-out pictures; one-pass, 10 epochs; Abacus, keras 3, numpy 2",
    ]
    noise = Calibrator(runs, LABELS, Levels(), 3, 100)
    values, gaps = noise.values("accuracy"), noise.values("generalization_gap")
    sd, interval = spread_of(values).sd, spread_of(values).interval()
    # By Clopper and Pearson: 1 of 400 is at most 1.385 %, 0 of 400 at most 0.918 %.
    one, none = "(alarms 0.01% to 1.38%, ", "(alarms 0.00% to 0.92%, "
    nominal = "nominal 0.12% for this gate); "  # two variants of four gates share 1 %
    sessions = "in 400 resampled clean sessions"
    blind = "no drop of held-out accuracy up to 0.30 is found with 90 % power"
    told = [
        f"accuracy {np.mean(values):.4f}, seed sd {sd:.4f} (95 % interval {interval.low:.4f} to "
        f"{interval.high:.4f}; {sd / noise.floor:.2f} of sqrt(err/2n)), gap {np.mean(gaps):.4f} ± "
        f"{spread_of(gaps).sd:.4f}, n=20 seeds",
        f"accuracy 0.815: 1 false alarms and 3 undecided {sessions} {one}{nominal}a drop of 0.031 "
        "is found with 90 % power",
        f"train_accuracy 0.895: 0 false alarms and 1 undecided {sessions} {none}{nominal}{blind}",
        f"generalization_gap 0.055: 0 false alarms and 2 undecided {sessions} {none}{nominal}"
        "a drop of 0.042 is found with 90 % power",
        "against a baseline of these seeds: accuracy_drop 0.023: 0 false alarms and 0 undecided "
        f"{sessions} {none}{nominal}{blind}",
    ]
    assert [line for line in out.splitlines() if line.startswith("documented: ")][:5] == [
        f"documented: {line}" for line in told
    ]
    assert [line for line in documented.splitlines() if line[0] == "#"] == [
        f"# {line}" for line in told
    ]
    assert f"{OWN}: accuracy" in out
    assert own.splitlines()[1].endswith("; collapsed seeds [1019] left out")
    assert f"targets: {path}\n" in out
    assert out.endswith(f"baseline: {baseline}\n")
    assert read_baselines(baseline)[OWN].collapsed == (1019,)


def test_error_rates_and_seeds_are_those_of_the_options(runs, tmp_path):
    rates = ("--alpha", "0.03", "--beta", "0.1", "--max-seeds", "6", "--first-seeds", "4")
    command("--out", tmp_path / "t.toml", "--sessions", "100", *rates)
    command("--out", tmp_path / "u.toml")
    assert Made.given == [
        (runs, LABELS, Levels(0.03 / 4, 0.1, 6), 4, 100),
        (runs, LABELS, Levels(0.01 / 4, 0.05, 8), 3, 400),
    ]


@pytest.mark.parametrize("name", ["with-dash_1", "a.b", "été", '"', "\\", ""])
def test_a_folder_may_be_called_anything(runs, idle, tmp_path, name):
    idle.data_set = replace(idle.data_set, name=name)
    command("--out", tmp_path / "t.toml")
    assert read_targets(tmp_path / "t.toml").get("accuracy", name, "documented") == 0.815
    plain = "[with-dash_1.documented]\n" in (tmp_path / "t.toml").read_text("utf-8")
    assert plain == (name == "with-dash_1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--seeds 0-8", "--seeds: expected at least 10, received 9"),
        ("--sessions 99", "--sessions: expected at least 100, received 99"),
        ("--first-seeds 0", "--first-seeds: expected 1 to --max-seeds=8, received 0"),
        ("--first-seeds 9", "--first-seeds: expected 1 to --max-seeds=8, received 9"),
        ("--max-seeds 2", "--first-seeds: expected 1 to --max-seeds=2, received 3"),
    ],
)
def test_bad_input_is_reported_before_anything_is_trained(
    idle, tmp_path, capsys, arguments, message
):
    assert command("--out", tmp_path / "t.toml", *arguments.split()) == 2
    assert capsys.readouterr().err == f"cnnbench: error: {message}\n"
    assert (idle.asked, list(tmp_path.iterdir())) == ([], [])


def test_files_are_overwritten_only_when_asked_and_all_problems_reported_at_once(
    runs, tmp_path, capsys
):
    paths = [tmp_path / "t.toml", tmp_path / "b.json"]
    for path in paths:
        path.write_text("mine")
    arguments = ("--out", paths[0], "--baseline", paths[1])
    assert command(*arguments, "--sessions", "1") == 2
    exists = "the file exists; name another one, or give --replace"
    assert capsys.readouterr().err == (
        f"cnnbench: error: {paths[0]}: {exists}; {paths[1]}: {exists}; "
        "--sessions: expected at least 100, received 1\n"
    )
    assert [path.read_text() for path in paths] == ["mine", "mine"]
    assert command(*arguments, "--replace") == 0
    assert not any("mine" in path.read_text("utf-8") for path in paths)


@pytest.mark.slow
def test_what_real_trainings_propose_is_accepted_by_the_suites(
    tiny_folder: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / ODD
    shutil.copytree(tiny_folder, pictures)
    shutil.copy(Path(__file__).parents[1] / "faults.py", tmp_path)
    options = ["--out=t.toml", "--baseline=b.json", "--seeds=1000-1009", "--sessions=100"]
    short = ["--epochs=6", "--image-size=24", "--max-seeds=3", "--workers=1"]
    short += [f"--data={pictures}", "--variants=faults:healthy"]
    done = run_command("calibrate", *options, *short, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (table,) = tomllib.loads((tmp_path / "t.toml").read_text())[ODD].items()
    assert table[0] == "faults:healthy"
    assert read_baselines(tmp_path / "b.json")["faults:healthy"].seeds[-1] == 1009
    suites = run_pytest(
        tmp_path / "suites",
        "--benchmark-only",
        "-k=accuracy or generalization_gap",
        f"--cnnbench-targets={tmp_path / 't.toml'}",
        f"--cnnbench-baseline={tmp_path / 'b.json'}",
        *(option.replace("--", "--cnnbench-") for option in short),
    )
    assert suites.code == 0, suites.output
    names = ("accuracy", "accuracy_drop", "train_accuracy", "generalization_gap")
    assert {f"test_{name}[faults:healthy]" for name in names} <= suites.named("passed")
