"""A session whose workers are no processes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from factories import check_result
from made_workers import World

from cnnbench.machine import environment
from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.records.journal import JOURNAL_NAME, read_journal
from cnnbench.records.records import Row
from cnnbench.report.frames import load_report
from cnnbench.session.options import Options
from cnnbench.session.session import Session, read_splits
from cnnbench.session.workers.jobs import FindGpus, MakeReference, Measure, Train

DOCUMENTED, WIDE = VARIANTS["documented"], VARIANTS["wide"]


# Trainings


def test_trainings_are_done_once_and_come_in_order(world: World, started: Any) -> None:
    session = started()
    wanted = [(WIDE, 1), (DOCUMENTED, 0), (WIDE, 0)]
    runs = session.train_all(wanted)
    assert [(VARIANTS[run.variant], run.seed) for run in runs] == wanted
    assert session.trained(session.train_job(WIDE, 1)) == runs[0]
    assert len(world.done) == 3
    assert len(session.finished_runs()) == 3
    assert {run.seed for run in session.finished_runs(WIDE)} == {0, 1}


def test_a_training_that_fails_leaves_its_error_in_its_place(world: World, started: Any) -> None:
    world.broken = "wide"
    first, error, last = started().train_all([(DOCUMENTED, 0), (WIDE, 0), (DOCUMENTED, 1)])
    assert (first.seed, last.seed) == (0, 1)
    assert str(error) == "training wide seed 0: no such layer"


def test_one_reason_is_shown_once(world: World, started: Any) -> None:
    world.broken = "wide"
    started(workers="1").train_all([(WIDE, 0), (WIDE, 1)])
    failed = [line.split("]")[1] for line in world.lines if "failed" in line]
    assert failed == [
        " training wide seed 0: failed: no such layer",
        " training wide seed 1: failed for the same reason",
    ]


def test_only_the_first_seed_keeps_its_weights(started: Any) -> None:
    session = started(seeds="5,3")
    assert session.train_job(WIDE, 5).weights.name == f"{WIDE.fingerprint()}-trained.npz"
    assert session.train_job(WIDE, 3).weights is None


def test_sanity_trainings_are_of_the_first_seed(started: Any) -> None:
    session = started(seeds="5,3", epochs="2")
    job = session.sanity_job("shuffled_labels", WIDE)
    assert (job.kind, job.seed, job.protocol.epochs) == ("shuffled_labels", 5, 2)
    assert session.trained(session.sanity_job("memorization", WIDE)).kind == "memorization"


def test_problems_of_models_are_one_error(world: World, started: Any) -> None:
    session = started()
    session.check_models([WIDE])
    world.problems = ("wide: no output", "mine: no input")
    with pytest.raises(ValueError, match=r"^wide: no output\nmine: no input$"):
        session.check_models([WIDE, DOCUMENTED])


@pytest.mark.parametrize(
    ("count", "room"),
    # 10 s of 100 s are spent. A training takes 10 s on average, and two run at once.
    [(1, True), (18, True), (19, False)],
)
def test_the_budget_has_room_for_what_trainings_took(
    started: Any, monkeypatch: pytest.MonkeyPatch, count: int, room: bool
) -> None:
    session = started(budget="100", workers="2")
    monkeypatch.setattr(session.progress, "elapsed", lambda: 10.0)
    assert session.may_train(1000)  # nothing is known yet
    session.trained(session.train_job(WIDE, 0))
    assert session.may_train(count) is room


def test_without_a_budget_there_is_room(started: Any) -> None:
    session = started()
    session.trained(session.train_job(WIDE, 0))
    assert session.may_train(10**9)


# Measurements


def test_measurements_wait_for_trainings_whose_weights_answer(world: World, started: Any) -> None:
    session = started(threads="2", seeds="7-7")
    place = Place("tensorflow", "cpu", 2)
    job = Measure(WIDE, Row("wide", "inference", "float32", 32, 7), session.manifest, 3, 1)
    session.plan([session.train_job(WIDE, 7)])
    session.plan_measurements([(place, job)])
    (measured,) = session.measurer().measurements(place, job)
    assert (place.threads, measured.place, measured.row.seed) == (2, place, 7)
    training, reference, _ = (job for _, job in world.done)
    assert [type(job) for _, job in world.done] == [Train, MakeReference, Measure]
    assert reference.weights == training.weights
    assert ("stop", Place("tensorflow", "cpu", 1)) in world.events


def test_what_is_absent_is_not_planned(world: World, started: Any) -> None:
    session = started()
    job = Measure(WIDE, Row("wide", "inference", "float32", 32, 7), session.manifest, 3, 1)
    session.plan_measurements([(Place("tensorflow", "gpu", 2), job)])
    session.measurer()
    assert world.done == []


# Devices


def test_trainings_run_on_a_gpu_if_there_is_one(world: World, started: Any) -> None:
    world.gpus = ("H", "H")
    session = started()
    assert session.environment["gpus"] == ["H", "H"]
    assert session.training_device() == "gpu"
    session.trained(session.train_job(WIDE, 0))
    assert [type(job) for _, job in world.done] == [FindGpus, Train]
    assert world.done[1][0] == Place("tensorflow", "gpu", environment.usable_cpus())


def test_trainings_run_on_the_device_named_first(world: World, started: Any) -> None:
    world.gpus = ("H",)
    session = started(devices="cpu,gpu", workers="3")
    assert session.training_device() == "cpu"
    session.trained(session.train_job(WIDE, 0))
    assert world.done[-1][0] == Place("tensorflow", "cpu", 1)


@pytest.mark.parametrize(
    ("gpus", "device", "why"),
    [
        ((), "cpu", None),
        ((), "gpu", "tensorflow sees no GPU on this machine"),
        (("H",), "gpu", None),
        (("H",), "gpu:1", "tensorflow sees 1 GPU on this machine"),
        (("H", "H"), "gpu:2", "tensorflow sees 2 GPUs on this machine"),
    ],
)
def test_why_a_device_is_absent(
    world: World, started: Any, gpus: tuple[str, ...], device: str, why: str | None
) -> None:
    world.gpus = gpus
    assert started().why_absent("tensorflow", device) == why


def test_a_device_that_was_asked_for_must_be_there(started: Any) -> None:
    message = "devices asks for gpu, but tensorflow sees no GPU.*Received: 'cpu,gpu'"
    with pytest.raises(ValueError, match=message):
        started(devices="cpu,gpu")


def test_a_backend_that_was_asked_for_must_be_there(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnbench.machine.backends.missing", lambda name: f"no {name}")
    with pytest.raises(ValueError, match="no jax"):
        started(backends="jax")


def test_a_backend_that_is_not_installed_is_absent(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = started()
    monkeypatch.setattr("cnnbench.machine.backends.missing", lambda name: f"no {name}")
    assert session.why_absent("openvino", "cpu") == "no openvino"


# Pictures


def test_pictures_are_those_that_the_options_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 1.0, 3.0, 3.0, 4.0])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))

    def load(folder: object, **asked: Any) -> Any:
        asked["progress"](1, 9)
        asked["progress"](2, 9)
        asked["progress"](3, 9)
        return folder, asked["split_seed"], asked["cache"]

    monkeypatch.setattr("cnnbench.pictures.data_set.load_splits", load)
    lines: list[str] = []
    options = Options(split_seed=3, cache_dir=Path("cache"))
    assert read_splits(options, lines.append) == (None, 3, Path("cache"))
    assert lines[0].startswith("reading the embedded pictures")
    assert lines[1:] == ["decoded 2 of 9 pictures"]


def test_pictures_have_a_record(started: Any) -> None:
    data = started().data_set
    assert (data.name, data.classes, data.input_shape) == ("tiny", ("cats", "dogs"), (24, 24, 3))
    assert (data.train_pictures, data.train_labels_per_class) == (96, (48, 48))
    assert (len(data.validation_names), sum(data.validation_labels)) == (48, 24)


def test_near_duplicates_are_looked_for_once(started: Any) -> None:
    session = started()
    assert session.near_duplicates is session.near_duplicates


def test_a_picture_in_both_sets_is_a_leak(
    world: World, tiny_folder: Path, started: Any, tmp_path: Path
) -> None:
    pictures = shutil.copytree(tiny_folder, tmp_path / "pictures")
    shutil.copy(pictures / "train/cats/000.png", pictures / "validation/cats/leaked.png")
    session = started(data=str(pictures))
    assert "train/cats/000.png and validation/cats/leaked.png" in session.leaks[1]
    assert session.environment["data"] is None


# The report


def test_the_report_is_in_a_folder_of_the_root(world: World, started: Any, tmp_path: Path) -> None:
    session = started(report_dir="reports", seeds="0,1")
    session.trained(session.train_job(WIDE, 0))
    session.keep(check_result())
    assert session.directory.parent == tmp_path / "reports"
    session.finish()
    assert world.events[-1] == ("stop", Place("tensorflow", "cpu", 1))
    session.finish()
    session.keep(check_result())  # too late
    report = load_report(session.directory)
    assert len(report.runs) == len(report.checks) == len(session.report.runs) == 1
    kinds = [type(record).__name__ for record in read_journal(session.directory / JOURNAL_NAME)]
    assert kinds == ["Environment", "DataSet", "TrainingRun", "CheckResult"]


def test_a_session_that_finished_nothing_leaves_no_report(started: Any, tmp_path: Path) -> None:
    session = started()
    session.finish()
    assert list((tmp_path / "reports").iterdir()) == []
    assert session.report is None


def test_a_session_that_did_not_start_can_be_finished(tmp_path: Path) -> None:
    Session(Options(), tmp_path, print).finish()
    assert list(tmp_path.iterdir()) == []
