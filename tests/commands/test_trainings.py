"""`cnnbench baseline` and `calibrate`: made-up trainings, and real ones as a user starts them."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import LABELS, constant_run, data_set, run_of
from suite_runs import run_command, run_pytest

from cnnbench.cli import main
from cnnbench.commands import baseline
from cnnbench.session.workers.process import JobError
from cnnbench.stats.intervals import spread_of
from cnnbench.stats.power import smallest_difference
from cnnbench.verdicts.calibration import Calibrator, Gated
from cnnbench.verdicts.gates.baselines import read_baselines
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.targets import read_targets

OWN = "factories:run_of"
ODD = 'les "chats" d\'été 🐈'
SEEDS = tuple(range(1000, 1020))
EXISTS = "the file exists; name another one, or give --replace"
TOO_FEW = "--seeds: expected at least 2, received 1"
PROPOSED = {
    "accuracy": Gated("accuracy", 0.815, 1, 3, 400, 0.031),
    "train_accuracy": Gated("train_accuracy", 0.895, 0, 1, 400, None),
    "generalization_gap": Gated("generalization_gap", 0.055, 0, 2, 400, 0.042),
}


def runs_under(variant: str, wrong: float):
    rng = np.random.default_rng(1)
    for seed in SEEDS:
        missed = rng.choice(100, round(rng.normal(wrong, 1.5)), replace=False).tolist()
        run = run_of(missed, seed=seed, variant=variant)
        yield replace(run, train_accuracy=run.val_accuracy + rng.normal(0.05, 0.005))


RUNS = list(runs_under("documented", 15))


class Idle:
    """A session that trains nothing; one seed of the second variant does not learn."""

    leaks: tuple[str, ...] = ()
    directory = "reports/one"

    def __init__(self):
        self.data_set = data_set(name=ODD, validation_labels=LABELS, train_pictures=300)
        self.environment = {"machine": {"cpu": "Abacus"}, "packages": {"numpy": "2", "keras": "3"}}
        runs = [*RUNS, *runs_under(OWN, 8), constant_run(seed=1019, variant=OWN)]
        self.outcomes = {(run.variant, run.seed): run for run in runs}
        self.asked, self.progress = [], self

    def __call__(self, options, root, say):
        return self

    def start(self):
        self.asked.append("start")

    def check_models(self, variants):
        self.asked.append([variant.name for variant in variants])

    def note(self, text):
        self.asked.append(text)

    def train_all(self, wanted):
        return [self.outcomes[variant.name, seed] for variant, seed in wanted]

    def finish(self):
        self.asked.append("finish")


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
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def idle(monkeypatch):
    Made.given, session = [], Idle()
    monkeypatch.setattr(baseline, "Session", session)
    monkeypatch.setattr("cnnbench.verdicts.calibration.Calibrator", Made)
    return session


def run(command: str) -> int:
    return main(command.split())


def test_every_variant_is_stored_with_what_it_is_good_for(idle, capsys):
    assert run(f"baseline --out made/b.json --variants documented,{OWN}") == 0
    assert idle.asked == ["start", ["documented", OWN], "40 trainings planned", "finish"]
    found = read_baselines(Path("made/b.json"))
    assert list(found) == ["documented", OWN]
    # Not the seeds that gates train.
    assert found["documented"].seeds == SEEDS
    assert (found[OWN].seeds, found[OWN].collapsed) == (SEEDS[:-1], (1019,))
    accuracies = tuple(run.val_accuracy for run in RUNS)
    assert found["documented"].accuracies == accuracies
    assert json.loads(Path("made/b.json").read_text())["environment"] == idle.environment
    report, documented, own, last = capsys.readouterr().out.splitlines()
    sd = spread_of(accuracies).sd
    assert documented == (
        f"documented: held-out accuracy {np.mean(accuracies):.4f} ± {sd:.4f} (mean ± sd, n=20 "
        f"seeds); 8 new seeds will find a drop of {smallest_difference(sd, 20, 8, 0.01):.4f} with "
        "90 % power at 1% false alarms"
    )
    assert own.endswith("; collapsed and left out: seeds [1019]")
    assert (report, last) == ("report: reports/one", "baseline: made/b.json")


FAILED = {("documented", 1000): JobError("training", "signal 9"), ("documented", 1001): RUNS[1]}
CONSTANT = {("documented", seed): constant_run(seed=seed) for seed in (1000, 1001)}


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("leaks", ("train/1.png is val/1.png", "another"), "train/1.png is val/1.png\nanother"),
        ("outcomes", FAILED, "A training failed, so nothing was stored: training: signal 9"),
        ("outcomes", CONSTANT, "at least two seeds that learn"),
    ],
)
def test_what_can_not_be_trained_is_not_stored_and_ends_the_session(
    idle, capsys, attribute, value, message
):
    setattr(idle, attribute, value)
    assert run("baseline --out b.json --seeds 1000,1001") == 2
    assert message in capsys.readouterr().err
    assert idle.asked[-1] == "finish"
    assert not Path("b.json").exists()


def test_a_session_trains_and_reports(world, tiny_folder, folder, capsys):
    assert run(f"baseline --out b.json --data {tiny_folder} --seeds 5,6 --image-size 24") == 0
    assert "2 trainings planned" in capsys.readouterr().out
    assert read_baselines(Path("b.json"))["documented"].seeds == (5, 6)
    text = Path("b.json").read_text()
    assert json.loads(text)["environment"]["backend"] == "tensorflow"
    assert str(folder) not in text
    assert len(list(Path("reports").iterdir())) == 1


@pytest.mark.parametrize(
    ("command", "problems"),
    [
        ("baseline --seeds 3,", TOO_FEW),
        ("calibrate --seeds 0-8", "--seeds: expected at least 10, received 9"),
        ("calibrate --sessions 99", "--sessions: expected at least 100, received 99"),
        ("calibrate --first-seeds 0", "--first-seeds: expected 1 to --max-seeds=8, received 0"),
        ("calibrate --first-seeds 9", "--first-seeds: expected 1 to --max-seeds=8, received 9"),
        ("calibrate --max-seeds 2", "--first-seeds: expected 1 to --max-seeds=2, received 3"),
        ("calibrate --baseline old", f"old: {EXISTS}"),
        ("baseline --out old --seeds 3,", f"old: {EXISTS}; {TOO_FEW}"),
    ],
)
def test_bad_input_is_reported_before_anything_is_trained(idle, capsys, command, problems):
    Path("old").write_text("mine")
    name, options = command.split(maxsplit=1)
    assert run(f"{name} --out new {options}") == 2
    assert capsys.readouterr().err == f"cnnbench: error: {problems}\n"
    assert (idle.asked, Path("old").read_text(), Path("new").exists()) == ([], "mine", False)


def test_existing_files_are_replaced_when_asked(idle):
    Path("t.toml").write_text("mine")
    Path("b.json").write_text("mine")
    assert run("calibrate --out t.toml --baseline b.json --replace") == 0
    assert read_targets(Path("t.toml")).content.keys() == {ODD}
    assert read_baselines(Path("b.json")).keys() == {"documented"}


def test_proposals_are_read_as_targets(idle):
    assert run(f"calibrate --out made/t.toml --variants documented,{OWN}") == 0
    targets = read_targets(Path("made/t.toml")).content[ODD]
    assert list(targets) == ["documented", OWN]
    noise = Calibrator(RUNS, LABELS, Levels(), 3, 100)
    for check, proposed in PROPOSED.items():
        assert targets["documented"][check] == proposed.threshold
        sd = pytest.approx(noise.known(check).sd, rel=5e-3)
        assert targets["documented"][f"{check}_sd"] == sd
        assert targets["documented"][f"{check}_seeds"] == 20
        assert targets[OWN][f"{check}_seeds"] == 19


def test_what_was_measured_is_in_comments_and_on_screen(idle, capsys):
    assert run(f"calibrate --out t.toml --baseline b.json --variants documented,{OWN}") == 0
    out, text = capsys.readouterr().out, Path("t.toml").read_text(encoding="utf-8")
    head, documented, own = text.split("\n\n")
    assert head.splitlines() == [
        "# Proposed by `cnnbench calibrate` from 20 seeds per variant; review, then commit.",
        "# 300 training and 100 held-out pictures; one-pass, 10 epochs; Abacus, keras 3, numpy 2",
    ]
    noise = Calibrator(RUNS, LABELS, Levels(), 3, 100)
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
    lines = [line.removeprefix("documented: ") for line in out.splitlines()]
    assert lines[1:6] == told
    assert [line[2:] for line in documented.splitlines() if line[0] == "#"] == told
    assert f"{OWN}: accuracy" in out
    assert own.splitlines()[1].endswith("; collapsed seeds [1019] left out")
    assert "targets: t.toml\n" in out
    assert out.endswith("baseline: b.json\n")


def test_error_rates_and_seeds_are_those_of_the_options(idle):
    rates = "--alpha 0.03 --beta 0.1 --max-seeds 6 --first-seeds 4 --sessions 100"
    run(f"calibrate --out t.toml {rates}")
    run("calibrate --out u.toml")
    assert Made.given == [
        (RUNS, LABELS, Levels(0.03 / 4, 0.1, 6), 4, 100),
        (RUNS, LABELS, Levels(0.01 / 4, 0.05, 8), 3, 400),
    ]


@pytest.mark.parametrize("name", ["with-dash_1", "a.b", "été", '"', "\\", ""])
def test_a_folder_may_be_called_anything(idle, name):
    idle.data_set = replace(idle.data_set, name=name)
    run("calibrate --out t.toml")
    assert read_targets(Path("t.toml")).get("accuracy", name, "documented") == 0.815
    plain = "[with-dash_1.documented]\n" in Path("t.toml").read_text("utf-8")
    assert plain == (name == "with-dash_1")


@pytest.mark.slow
def test_what_real_trainings_propose_is_accepted_by_the_suites(tiny_folder, folder):
    shutil.copytree(tiny_folder, ODD)
    shutil.copy(Path(__file__).parents[1] / "faults.py", folder)
    options = ["--out=t.toml", "--baseline=b.json", "--seeds=1000-1009", "--sessions=100"]
    short = ["--epochs=6", "--image-size=24", "--max-seeds=3", "--workers=1"]
    short += [f"--data={folder / ODD}", "--variants=faults:healthy"]
    done = run_command("calibrate", *options, *short, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert list(tomllib.loads(Path("t.toml").read_text())[ODD]) == ["faults:healthy"]
    assert read_baselines(Path("b.json"))["faults:healthy"].seeds[-1] == 1009
    suites = run_pytest(
        folder / "suites",
        "--benchmark-only",
        "-k=accuracy or generalization_gap",
        f"--cnnbench-targets={folder / 't.toml'}",
        f"--cnnbench-baseline={folder / 'b.json'}",
        *(option.replace("--", "--cnnbench-") for option in short),
    )
    assert suites.code == 0, suites.output
    names = ("accuracy", "accuracy_drop", "train_accuracy", "generalization_gap")
    assert {f"test_{name}[faults:healthy]" for name in names} <= suites.named("passed")
