"""`cnnbench calibrate`: made-up trainings in this process, and real ones as a user starts them."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from answered import LABELS, constant_run, run_of
from factories import data_set
from suite_runs import run_command, run_pytest

from cnnbench.cli import main
from cnnbench.commands import calibrate
from cnnbench.models.variants import VARIANTS
from cnnbench.verdicts.calibration import Calibrator, Gated, noise_of
from cnnbench.verdicts.gates.baselines import read_baselines
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.targets import read_targets

OWN = "answered:run_of"
ODD = 'les "chats" d\'été 🐈'


def runs_under(variant: str, wrong: float):
    rng = np.random.default_rng(1)
    found = []
    for seed in range(1000, 1012):
        missed = rng.choice(100, round(rng.normal(wrong, 1.5)), replace=False).tolist()
        run = run_of(missed, seed=seed, variant=variant)
        gap = rng.normal(0.05, 0.005)
        found.append(replace(run, train_accuracy=run.val_accuracy + gap))
    return found


@pytest.fixture
def trained(monkeypatch):
    """What was trained and what was resampled is made up.

    `asked` has the options of the trainings, `calibrated` what was to be resampled.
    """
    session = SimpleNamespace(
        data_set=data_set(name=ODD, validation_labels=LABELS, train_pictures=300),
        environment={"machine": {"cpu": "Abacus"}, "packages": {"numpy": "2", "keras": "3"}},
    )
    runs = {
        "documented": runs_under("documented", 15),
        OWN: [
            *runs_under(OWN, 8),
            constant_run(seed=1012, variant=OWN),
        ],
    }
    found = SimpleNamespace(asked=[], calibrated=[], session=session, runs=runs)

    def train(options):
        found.asked.append(options)
        return session, {variant.name: runs[variant.name] for variant in options.variants}

    class Made(Calibrator):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            found.calibrated.append(self)

        def target(self, noise):
            assert noise == noise_of(runs[self.runs[0].variant], LABELS)
            return Gated("accuracy", 0.815, 1, 3, self.sessions, 0.031)

        def train_target(self, noise):
            assert noise == noise_of(runs[self.runs[0].variant], LABELS)
            return Gated("train_accuracy", 0.895, 0, 1, self.sessions, None)

        def gap(self, noise):
            assert noise == noise_of(runs[self.runs[0].variant], LABELS)
            return Gated("generalization_gap", 0.055, 0, 2, self.sessions, 0.042)

        def drop(self):
            return Gated("accuracy_drop", 0.0234, 0, 0, self.sessions, None)

    monkeypatch.setattr(calibrate, "trained", train)
    monkeypatch.setattr("cnnbench.verdicts.calibration.Calibrator", Made)
    return found


def command(*arguments: object) -> int:
    return main(["calibrate", *map(str, arguments)])


BOTH = ("--variants", f"documented,{OWN}")


def test_proposals_are_read_as_targets(trained, tmp_path):
    path = tmp_path / "made" / "targets.toml"
    assert command("--out", path, *BOTH) == 0
    targets = read_targets(path)
    assert list(targets.content) == [ODD]
    assert list(targets.content[ODD]) == ["documented", OWN]
    for variant, table in targets.content[ODD].items():
        noise = noise_of(trained.runs[variant], LABELS)
        assert table == {
            "accuracy": 0.815,
            "accuracy_sd": pytest.approx(noise.spread.sd, rel=5e-3),
            "accuracy_seeds": 12,
            "train_accuracy": 0.895,
            "train_accuracy_sd": pytest.approx(noise.train_spread.sd, rel=5e-3),
            "train_accuracy_seeds": 12,
            "generalization_gap": 0.055,
            "generalization_gap_sd": pytest.approx(noise.gap_spread.sd, rel=5e-3),
            "generalization_gap_seeds": 12,
        }
    spreads = {round(one.sd, 4) for one in (noise.spread, noise.train_spread, noise.gap_spread)}
    assert len(spreads) == 3


def test_seeds_that_are_all_alike_have_a_spread_that_pytest_takes(trained, tmp_path):
    alike = [run_of(0, seed=seed) for seed in range(1000, 1012)]
    trained.runs["documented"] = [replace(run, train_accuracy=1.0) for run in alike]
    command("--out", tmp_path / "t.toml")
    targets = read_targets(tmp_path / "t.toml")
    for name in ("accuracy", "train_accuracy", "generalization_gap"):
        sd = targets.get(f"{name}_sd", ODD, "documented")
        assert sd == pytest.approx(noise_of(alike, LABELS).floor, rel=5e-3)


def test_what_was_measured_stands_in_comments_and_on_screen(trained, tmp_path, capsys):
    path = tmp_path / "targets.toml"
    command("--out", path, *BOTH)
    out, text = capsys.readouterr().out, path.read_text(encoding="utf-8")
    head = text.split("\n\n")[0].splitlines()
    assert head == [
        "# Proposed by `cnnbench calibrate` from 20 seeds per variant; review, then commit.",
        "# 300 training and 100 held-out pictures; one-pass, 10 epochs; Abacus, keras 3, numpy 2",
    ]
    noise = noise_of(trained.runs["documented"], LABELS)
    told = [
        f"accuracy {noise.mean:.4f}, seed sd {noise.spread.sd:.4f} (95 % interval "
        f"{noise.interval.low:.4f} to {noise.interval.high:.4f}; "
        f"{noise.spread.sd / noise.floor:.2f} of sqrt(err/2n)), gap {noise.gap_mean:.4f} ± "
        f"{noise.gap_spread.sd:.4f}, n=12 seeds",
        # By Clopper and Pearson: 1 of 400 is at most 1.385 %, 0 of 400 at most 0.918 %.
        "accuracy 0.815: 1 false alarms and 3 undecided in 400 resampled clean sessions (alarms "
        "0.01% to 1.38%, nominal 0.12% for this gate); a drop of 0.031 is found with 90 % power",
        "train_accuracy 0.895: 0 false alarms and 1 undecided in 400 resampled clean sessions "
        "(alarms 0.00% to 0.92%, nominal 0.12% for this gate); no drop of held-out accuracy up to "
        "0.30 is found with 90 % power",
        "generalization_gap 0.055: 0 false alarms and 2 undecided in 400 resampled clean sessions "
        "(alarms 0.00% to 0.92%, nominal 0.12% for this gate); a drop of 0.042 is found with 90 % "
        "power",
        "accuracy_drop 0.023: 0 false alarms and 0 undecided in 400 resampled clean sessions "
        "(alarms 0.00% to 0.92%, nominal 0.12% for this gate); no drop of held-out accuracy up to "
        "0.30 is found with 90 % power",
    ]
    assert out.splitlines()[:5] == [f"documented: {line}" for line in told]
    comments = [
        line.removeprefix("# ") for line in text.split("\n\n")[1].splitlines() if "#" in line
    ]
    comments[-1] = comments[-1].removeprefix("Against a baseline of these seeds: ")
    assert comments == told
    assert f"{OWN}: accuracy" in out
    assert text.count("; collapsed seeds [1012] left out\n") == 1
    assert out.endswith(f"targets: {path}\n")


def test_a_baseline_is_stored_beside_when_asked(trained, tmp_path, capsys):
    path = tmp_path / "b.json"
    assert command("--out", tmp_path / "t.toml", "--baseline", path, *BOTH) == 0
    assert read_baselines(path)[OWN].collapsed == (1012,)
    assert capsys.readouterr().out.endswith(f"baseline: {path}\n")


def test_seeds_that_learn_are_resampled_at_the_levels_of_the_gates(trained, tmp_path):
    command("--out", tmp_path / "t.toml", *BOTH)
    documented, own = trained.calibrated
    # Two variants of four gates share the error rate.
    assert documented.levels == own.levels == Levels(0.01 / 8, 0.05, 8)
    assert (documented.first, documented.sessions, documented.labels) == (3, 400, LABELS)
    assert documented.runs == trained.runs["documented"]
    assert own.runs == trained.runs[OWN][:-1]


def test_error_rates_and_seeds_are_those_of_the_options(trained, tmp_path):
    rates = ("--alpha", "0.03", "--beta", "0.1", "--max-seeds", "6", "--first-seeds", "4")
    command("--out", tmp_path / "t.toml", "--sessions", "100", *rates)
    (found,) = trained.calibrated
    assert (found.levels, found.first) == (Levels(0.03 / 4, 0.1, 6), 4)
    assert found.sessions == 100
    (options,) = trained.asked
    assert (options.seeds, options.variants) == (
        tuple(range(1000, 1020)),
        (VARIANTS["documented"],),
    )


@pytest.mark.parametrize(
    "name", ["plain", "with-dash_1", "a b", "a.b", "été", '"', "\\", "🐈", "faults:healthy", "é1"]
)
def test_a_folder_may_be_called_anything(tmp_path, name):
    path = tmp_path / "t.toml"
    text = f"[{calibrate._key(name)}.{calibrate._key(OWN)}]\naccuracy = 0.5\n"
    path.write_text(text, encoding="utf-8")
    assert read_targets(path).get("accuracy", name, OWN) == 0.5


def test_a_plain_name_is_not_quoted():
    assert calibrate._key("with-dash_1") == "with-dash_1"
    assert calibrate._key("") == '""'


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "0-8"), "--seeds: expected at least 10, received 9"),
        (("--sessions", "99"), "--sessions: expected at least 100, received 99"),
        (("--first-seeds", "0"), "--first-seeds: expected 1 to --max-seeds=8, received 0"),
        (("--first-seeds", "9"), "--first-seeds: expected 1 to --max-seeds=8, received 9"),
        (("--max-seeds", "2"), "--first-seeds: expected 1 to --max-seeds=2, received 3"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(
    trained, tmp_path, capsys, arguments, message
):
    assert command("--out", tmp_path / "t.toml", *arguments) == 2
    assert capsys.readouterr().err == f"cnnbench: error: {message}\n"
    assert (trained.asked, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("there", ["t.toml", "b.json"])
def test_files_are_written_over_only_when_asked(trained, tmp_path, capsys, there):
    paths = ("--out", tmp_path / "t.toml", "--baseline", tmp_path / "b.json")
    (tmp_path / there).write_text("mine")
    assert command(*paths) == 2
    message = f"{tmp_path / there}: the file exists; name another one, or give --replace"
    assert capsys.readouterr().err == f"cnnbench: error: {message}\n"
    assert ((tmp_path / there).read_text(), trained.asked) == ("mine", [])
    assert command(*paths, "--replace") == 0
    assert "mine" not in (tmp_path / there).read_text()


def test_all_problems_are_told_at_once(trained, tmp_path, capsys):
    (tmp_path / "t.toml").touch()
    arguments = ("--seeds", "0", "--first-seeds", "0", "--sessions", "1")
    assert command("--out", tmp_path / "t.toml", *arguments) == 2
    told = capsys.readouterr().err
    assert [
        told.count(word) for word in ("the file exists", "--seeds", "--sessions", "--first")
    ] == [1] * 4


def test_seeds_that_do_not_learn_have_no_noise(trained, tmp_path, capsys):
    trained.runs["documented"] = [constant_run(seed=seed) for seed in range(12)]
    assert command("--out", tmp_path / "t.toml") == 2
    assert "Noise needs at least two seeds that learn" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Real trainings


@pytest.mark.slow
def test_what_real_trainings_propose_is_accepted_by_the_suites(
    tiny_folder: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / ODD
    shutil.copytree(tiny_folder, pictures)
    shutil.copy(Path(__file__).parents[1] / "faults.py", tmp_path)
    done = run_command(
        *("calibrate", "--out", "t.toml", "--baseline", "b.json", "--data", str(pictures)),
        *("--variants", "faults:healthy", "--seeds", "1000-1009", "--sessions", "100"),
        *("--epochs", "6", "--image-size", "24", "--max-seeds", "3", "--workers", "1"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (table,) = tomllib.loads((tmp_path / "t.toml").read_text())[ODD].items()
    assert table[0] == "faults:healthy"
    assert read_baselines(tmp_path / "b.json")["faults:healthy"].seeds[-1] == 1009
    suites = run_pytest(
        tmp_path / "suites",
        *("--benchmark-only", "-k", "accuracy or generalization_gap"),
        f"--cnnbench-data={pictures}",
        "--cnnbench-variants=faults:healthy",
        f"--cnnbench-targets={tmp_path / 't.toml'}",
        f"--cnnbench-baseline={tmp_path / 'b.json'}",
        *("--cnnbench-epochs=6", "--cnnbench-image-size=24", "--cnnbench-max-seeds=3"),
        "--cnnbench-workers=1",
    )
    assert suites.code == 0, suites.output
    names = ("accuracy", "accuracy_drop", "train_accuracy", "generalization_gap")
    assert {f"test_{name}[faults:healthy]" for name in names} <= suites.named("passed")
