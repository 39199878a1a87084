"""What the tests of commands share: a session that trains nothing."""

from __future__ import annotations

import pytest
from answered import LABELS
from factories import data_set

from cnnbench.commands import baseline


class Idle:
    """A session whose trainings come to `outcomes`, by variant and seed."""

    leaks: tuple[str, ...] = ()
    directory = "reports/one"

    def __init__(self):
        self.data_set = data_set(validation_labels=LABELS)
        self.environment = {"machine": {"cpu": "Abacus"}, "packages": {"numpy": "2", "keras": "3"}}
        self.outcomes, self.asked, self.progress = {}, [], self

    def __call__(self, options, root, say):
        self.options = options
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

    def learn(self, *runs):
        self.outcomes.update({(run.variant, run.seed): run for run in runs})


@pytest.fixture
def idle(monkeypatch):
    session = Idle()
    monkeypatch.setattr(baseline, "Session", session)
    return session
