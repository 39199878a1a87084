"""Trainings for a command, with a session that trains nothing."""

import pytest
from factories import data_set, training_run

from cnnbench.commands import runs
from cnnbench.models.variants import VARIANTS
from cnnbench.session.options import Options
from cnnbench.session.workers.process import JobError

OPTIONS = Options(variants=(VARIANTS["documented"], VARIANTS["wide"]), seeds=(5, 3))
WANTED = [(variant, seed) for variant in OPTIONS.variants for seed in (5, 3)]


class Idle:
    """What a command asks of its session, in order."""

    leaks: tuple[str, ...] = ()
    broken: Exception | None = None
    directory = "reports/one"
    data_set = data_set()

    def __init__(self, *_):
        self.progress = self
        self.environment = {"commit": "abc"}
        self.asked = Idle.asked = []

    def start(self):
        self.asked.append("start")

    def check_models(self, variants):
        self.asked.append(variants)

    def note(self, text):
        self.asked.append(text)

    def train_all(self, wanted):
        self.asked.append(list(wanted))
        made = [training_run(variant=variant.name, seed=seed) for variant, seed in wanted]
        return [*made[:-1], self.broken or made[-1]]

    def finish(self):
        self.asked.append("finish")


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    monkeypatch.setattr(runs, "Session", Idle)


def test_every_variant_is_trained_under_every_seed_in_order(capsys):
    found = runs.trained(OPTIONS)
    assert (found.data, found.environment) == (data_set(), {"commit": "abc"})
    keys = [(name, run.variant, run.seed) for name, own in found.runs.items() for run in own]
    assert keys == [(variant.name, variant.name, seed) for variant, seed in WANTED]
    told = "4 trainings planned"
    assert Idle.asked == ["start", OPTIONS.variants, told, WANTED, "finish"]
    assert capsys.readouterr().out == "report: reports/one\n"


def test_a_leak_trains_nothing(monkeypatch):
    monkeypatch.setattr(Idle, "leaks", ("train/1.png is val/1.png", "train/2.png is val/2.png"))
    message = "Nothing is trained: train/1.png is val/1.png\ntrain/2.png is val/2.png"
    with pytest.raises(ValueError, match=message):
        runs.trained(OPTIONS)
    assert Idle.asked == ["start", "finish"]


def test_a_failed_training_stores_nothing_but_the_report(monkeypatch):
    monkeypatch.setattr(Idle, "broken", JobError("training", "ended by signal 9"))
    message = "A training failed, so nothing was stored: training: ended by signal 9"
    with pytest.raises(ValueError, match=message):
        runs.trained(OPTIONS)
    assert Idle.asked[-1] == "finish"


def test_pictures_that_can_not_be_read_end_the_session_too(monkeypatch):
    def refuse(session):
        raise FileNotFoundError("No such folder")

    monkeypatch.setattr(Idle, "start", refuse)
    with pytest.raises(FileNotFoundError, match="No such folder"):
        runs.trained(OPTIONS)
    assert Idle.asked == ["finish"]
