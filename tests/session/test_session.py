"""A session whose workers are no processes."""

from pathlib import Path

import pytest
from factories import check_result
from made_workers import job_of

from cnnbench.machine import environment
from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.records.journal import JOURNAL_NAME, read_journal
from cnnbench.report.frames import load_report
from cnnbench.session.options import Options
from cnnbench.session.session import Session, read_splits
from cnnbench.session.workers.jobs import FindGpus, MakeReference, Measure, Train

DOCUMENTED, WIDE = VARIANTS["documented"], VARIANTS["wide"]


def trained(session, variant=WIDE, seed=0):
    return session.trained(session.train_job(variant, seed))


def test_trainings_are_done_once_and_come_in_order(world, started):
    session = started()
    wanted = [(WIDE, 1), (DOCUMENTED, 0), (WIDE, 0)]
    runs = session.train_all(wanted)
    assert [(VARIANTS[run.variant], run.seed) for run in runs] == wanted
    assert trained(session, WIDE, 1) == runs[0]
    assert len(world.done) == len(session.finished_runs()) == 3
    assert {run.seed for run in session.finished_runs(WIDE)} == {0, 1}


def test_a_failed_training_leaves_its_error_in_its_place_and_one_reason_is_shown_once(
    world, started
):
    world.broken = "wide"
    wanted = [(DOCUMENTED, 0), (WIDE, 0), (WIDE, 1), (DOCUMENTED, 1)]
    first, error, _, last = started(workers="1").train_all(wanted)
    assert (first.seed, last.seed) == (0, 1)
    assert str(error) == "training wide seed 0: no such layer"
    failed = [line.split("]")[1] for line in world.lines if "failed" in line]
    assert failed == [
        " training wide seed 0: failed: no such layer",
        " training wide seed 1: failed for the same reason",
    ]


def test_the_first_seed_keeps_its_weights_and_is_that_of_sanity_trainings(started):
    session = started(seeds="5,3", epochs="2")
    assert session.train_job(WIDE, 5).weights.name == f"{WIDE.fingerprint()}-trained.npz"
    assert session.train_job(WIDE, 3).weights is None
    job = session.sanity_job("shuffled_labels", WIDE)
    assert (job.kind, job.seed, job.protocol.epochs) == ("shuffled_labels", 5, 2)
    assert session.trained(job).kind == "shuffled_labels"


def test_problems_of_models_are_one_error(world, started):
    session = started()
    session.check_models([WIDE])
    world.problems = ("wide: no output", "mine: no input")
    with pytest.raises(ValueError, match=r"^wide: no output\nmine: no input$"):
        session.check_models([WIDE, DOCUMENTED])


@pytest.mark.parametrize(
    ("gpus", "budget", "count", "room"),
    [
        # 10 s of 100 s are spent. A training takes 10 s on average, and two run at once.
        ((), "100", 18, True),
        ((), "100", 19, False),
        (("H",), "100", 9, True),  # a GPU has one at a time
        (("H",), "100", 10, False),
        ((), "", 10**9, True),
    ],
)
def test_the_budget_has_room_for_what_trainings_took(
    world, started, monkeypatch, gpus, budget, count, room
):
    world.gpus = gpus
    session = started(budget=budget, workers="2")
    monkeypatch.setattr(session.progress, "elapsed", lambda: 10.0)
    assert session.may_train(1000)  # nothing is known yet
    trained(session)
    assert session.may_train(count) is room


def test_measurements_wait_for_trainings_whose_weights_answer(world, started):
    session = started(seeds="7-7", workers="1")
    place, job = Place("tensorflow", "cpu", 2), job_of(session)
    session.plan([session.train_job(WIDE, 7)])
    session.plan_measurements([(place, job)])
    (measured,) = session.measurer().measurements(place, job)
    assert (measured.place, measured.row) == (place, job.row)
    assert [type(job) for _, job in world.done] == [Train, MakeReference, Measure]
    (_, training), (_, reference), _ = world.done
    assert reference.weights == training.weights
    trained(session, WIDE, 8)
    session.measurer()  # workers that train are ended once, before the first measurement
    assert world.events.count(("stop", Place("tensorflow", "cpu", 1))) == 1


def test_what_is_absent_is_not_planned(world, started):
    session = started()
    session.plan_measurements([(Place("tensorflow", "gpu", 2), job_of(session))])
    session.measurer()
    assert world.done == []


@pytest.mark.parametrize(
    ("devices", "place"),
    [
        ("", Place("tensorflow", "gpu", environment.usable_cpus())),  # there is one
        ("cpu,gpu", Place("tensorflow", "cpu", 1)),  # the device named first
    ],
)
def test_where_trainings_run(world, started, devices, place):
    world.gpus = ("H", "H")
    session = started(devices=devices)
    assert session.environment["gpus"] == ["H", "H"]
    assert session.training_device() == place.device
    trained(session)
    assert [type(job) for _, job in world.done] == [FindGpus, Train]
    assert world.done[1][0] == place


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
def test_why_a_device_is_absent(world, started, gpus, device, why):
    world.gpus = gpus
    assert started().why_absent("tensorflow", device) == why


def test_a_device_that_was_asked_for_must_be_there(started):
    message = "devices asks for gpu, but tensorflow sees no GPU.*Received: 'cpu,gpu'"
    with pytest.raises(ValueError, match=message):
        started(devices="cpu,gpu")


def test_a_backend_that_is_not_installed_is_absent_and_can_not_be_asked_for(started, monkeypatch):
    session = started()
    monkeypatch.setattr("cnnbench.machine.backends.missing", lambda name: f"no {name}")
    assert session.why_absent("openvino", "cpu") == "no openvino"
    with pytest.raises(ValueError, match="no jax"):
        started(backends="jax")


def test_pictures_are_those_that_the_options_name(monkeypatch):
    seconds = iter([0.0, 1.0, 3.0, 3.0, 4.0])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))

    def load(folder, **asked):
        for done in (1, 2, 3):
            asked["progress"](done, 9)
        return folder, asked["split_seed"], asked["cache"]

    monkeypatch.setattr("cnnbench.pictures.data_set.load_splits", load)
    lines: list[str] = []
    options = Options(split_seed=3, cache_dir=Path("cache"))
    assert read_splits(options, lines.append) == (None, 3, Path("cache"))
    assert lines[0].startswith("reading the embedded pictures")
    assert lines[1:] == ["decoded 2 of 9 pictures"]


def test_pictures_have_a_record_and_near_duplicates_are_looked_for_once(started):
    session = started()
    data = session.data_set
    assert (data.name, data.classes, data.input_shape) == ("tiny", ("cats", "dogs"), (24, 24, 3))
    assert (data.train_pictures, data.train_labels_per_class) == (96, (48, 48))
    assert (len(data.validation_names), sum(data.validation_labels)) == (48, 24)
    assert session.near_duplicates is session.near_duplicates


def test_the_report_is_in_a_folder_of_the_root(world, started, tmp_path):
    session = started(report_dir="reports", seeds="0,1")
    trained(session)
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


def test_a_session_that_finished_nothing_or_did_not_start_leaves_no_report(started, tmp_path):
    session = started()
    session.finish()
    assert session.report is None
    Session(Options(), tmp_path, print).finish()
    assert list(tmp_path.glob("reports/*")) == []
