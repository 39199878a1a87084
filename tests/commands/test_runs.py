"""Trainings for a command, with a session that trains nothing."""

from types import SimpleNamespace

import pytest
from factories import training_run

from cnnbench.commands import runs
from cnnbench.models.variants import VARIANTS
from cnnbench.session.options import Options
from cnnbench.session.workers.process import JobError

OPTIONS = Options(variants=(VARIANTS["documented"], VARIANTS["wide"]), seeds=(5, 3))


@pytest.fixture
def session(monkeypatch):
    """A session that keeps what it is asked for."""
    asked = []
    fake = SimpleNamespace(
        asked=asked,
        leaks=(),
        directory="reports/one",
        start=lambda: asked.append("start"),
        check_models=lambda variants: asked.append(("check", variants)),
        finish=lambda: asked.append("finish"),
        progress=SimpleNamespace(note=lambda text: asked.append(text)),
    )

    def train_all(wanted):
        asked.append(list(wanted))
        return [training_run(variant=variant.name, seed=seed) for variant, seed in wanted]

    fake.train_all = train_all
    monkeypatch.setattr(runs, "Session", lambda options, root, say: fake)
    return fake


def test_every_variant_is_trained_under_every_seed_in_order(session, capsys):
    found, trained = runs.trained(OPTIONS)
    assert found is session
    assert {name: [run.seed for run in own] for name, own in trained.items()} == {
        "documented": [5, 3],
        "wide": [5, 3],
    }
    assert all(run.variant == name for name, own in trained.items() for run in own)
    assert capsys.readouterr().out == "report: reports/one\n"


def test_bad_models_are_told_before_anything_is_trained(session):
    runs.trained(OPTIONS)
    wanted = [(variant, seed) for variant in OPTIONS.variants for seed in (5, 3)]
    assert session.asked == [
        "start",
        ("check", OPTIONS.variants),
        "4 trainings planned",
        wanted,
        "finish",
    ]


def test_a_leak_trains_nothing(session):
    session.leaks = ("train/1.png is val/1.png", "train/2.png is val/2.png")
    message = "Nothing is trained: train/1.png is val/1.png\ntrain/2.png is val/2.png"
    with pytest.raises(ValueError, match=message):
        runs.trained(OPTIONS)
    assert session.asked == ["start", "finish"]


def test_a_failed_training_stores_nothing_but_the_report(session):
    outcomes = [training_run(), JobError("ended by signal 9")] * 2
    session.train_all = lambda wanted: outcomes
    message = "A training failed, so nothing was stored: ended by signal 9"
    with pytest.raises(ValueError, match=message):
        runs.trained(OPTIONS)
    assert session.asked[-1] == "finish"


def test_pictures_that_can_not_be_read_end_the_session_too(session):
    def start():
        raise FileNotFoundError("No such folder")

    session.start = start
    with pytest.raises(FileNotFoundError, match="No such folder"):
        runs.trained(OPTIONS)
    assert session.asked == ["finish"]
