"""What many trainings cost, on a session that trains nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import data_set, training_run

from cnnbench.session.options import Options
from cnnbench.session.trainings import estimate, may_train, train_all
from cnnbench.session.workers.process import JobError

HEADER = "protocol,data_hash,epochs,seconds\n"


class Crashed(JobError):
    pass


class FakeSession:
    """Two trainings at once; those of the variant `broken` fail."""

    def __init__(self, options=None, seconds=(), elapsed=0.0, workers=2) -> None:
        self.options, self.data_set = options or Options(), data_set(train_pictures=1400)
        self.progress = SimpleNamespace(elapsed=lambda: elapsed)
        self._runs = [training_run(seconds=each) for each in seconds]
        self._workers = workers
        self.planned: list[tuple[str, int]] = []

    def training_workers(self) -> int:
        return self._workers

    def finished_runs(self):
        return self._runs

    def train_job(self, variant, seed):
        return variant, seed

    def plan(self, jobs) -> None:
        self.planned += jobs

    def training_run(self, variant, seed):
        assert (variant, seed) in self.planned
        if variant == "broken":
            raise Crashed(f"{variant} under seed {seed}")
        return training_run(variant=variant, seed=seed)


def report(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "runs.csv").write_text(text)


# Training


def test_all_are_begun_before_one_is_waited_for_and_come_in_order():
    session = FakeSession()
    wanted = [("wide", 1), ("documented", 0), ("wide", 0)]
    done = train_all(session, wanted)
    assert session.planned == wanted
    assert [(run.variant, run.seed) for run in done] == wanted


def test_a_training_that_fails_leaves_its_error_in_its_place():
    first, error, last = train_all(FakeSession(), [("wide", 0), ("broken", 3), ("wide", 1)])
    assert (first.seed, last.seed) == (0, 1)
    assert isinstance(error, JobError)
    assert str(error) == "broken under seed 3"


def test_what_is_no_failed_training_is_not_swallowed():
    session = FakeSession()
    session.training_run = lambda variant, seed: 1 / 0
    with pytest.raises(ZeroDivisionError):
        train_all(session, [("wide", 0)])


# The budget


@pytest.mark.parametrize(
    ("count", "room"),
    # 60 s are spent of 100 s. A training takes 20 s on average, and two run at once.
    [(1, True), (4, True), (5, False)],
)
def test_the_budget_has_room_for_what_trainings_took_so_far(count, room):
    session = FakeSession(Options(budget=100.0), seconds=(10.0, 30.0), elapsed=60.0)
    assert may_train(session, count) is room


def test_without_a_budget_there_is_room():
    assert may_train(FakeSession(seconds=(1e6,), elapsed=1e9), 1000)


def test_before_anything_is_known_there_is_room():
    assert may_train(FakeSession(Options(budget=1.0)), 1)


# The estimate


def test_without_reports_it_is_a_guess():
    # 10 epochs of 1400 pictures at 700 a second, two trainings at once.
    options = Options(report_dir=Path("no such folder"))
    assert estimate(FakeSession(options), 6) == "about 60 s, a guess"


def test_a_guess_of_an_epoch_that_is_not_one_pass():
    options = Options(report_dir=Path("none"), epochs=7, steps_per_epoch=50, protocol="documented")
    # 7 epochs of 50 steps of 32 pictures.
    assert estimate(FakeSession(options, workers=1), 1) == "about 16 s, a guess"


def test_earlier_trainings_are_better_than_a_guess(tmp_path):
    # 2, 3 and 10 s an epoch, of which the median counts; ten epochs, two at once.
    rows = "one-pass,c0ffee,10,20\none-pass,c0ffee,2,6\none-pass,c0ffee,1,10\n"
    report(tmp_path, "20260101T000000Z_a", HEADER + rows)
    told = estimate(FakeSession(Options(report_dir=tmp_path)), 4)
    assert told == "about 60 s, by 3 earlier trainings"


def test_the_newest_report_with_such_trainings_counts(tmp_path):
    report(tmp_path, "20260101T000000Z_a", HEADER + "one-pass,c0ffee,10,999\n")
    report(tmp_path, "20260102T000000Z_a", HEADER + "one-pass,c0ffee,10,20\n")
    other = "documented,c0ffee,10,7\none-pass,beef,10,7\n"
    report(tmp_path, "20260103T000000Z_a", HEADER + other)
    told = estimate(FakeSession(Options(report_dir=tmp_path)), 4)
    assert told == "about 40 s, by 1 earlier training"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "protocol,data_hash\none-pass,c0ffee\n",
        HEADER + "one-pass,c0ffee,10,soon\n",
        HEADER + "one-pass,c0ffee\n",
        HEADER + "one-pass,c0ffee,0,20\n",
        HEADER + "one-pass,c0ffee,10,\xff\n",
        HEADER + 'one-pass,"' + "c" * 200_000,
    ],
    ids=["empty", "columns", "number", "short", "epochs", "encoding", "field"],
)
def test_a_report_that_cant_be_read_says_nothing(tmp_path, text):
    report(tmp_path, "20260102T000000Z_a", "")
    (tmp_path / "20260102T000000Z_a" / "runs.csv").write_bytes(text.encode("latin-1"))
    report(tmp_path, "20260101T000000Z_a", HEADER + "one-pass,c0ffee,10,20\n")
    told = estimate(FakeSession(Options(report_dir=tmp_path)), 4)
    assert told == "about 40 s, by 1 earlier training"
