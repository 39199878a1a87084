"""Verdicts, exit codes, errors and benchmarks of sessions whose workers are no processes."""

from __future__ import annotations

import shutil

import pytest

from cnnbench.machine.backends import Place
from cnnbench.plugin import asks
from cnnbench.session.workers.jobs import CheckModels, MakeReference, Measure, Sanity, Train
from cnnbench.session.workers.process import JobError, WorkerDied


def gate(name: str, target: float, known: str = ", accuracy_sd=0.001, accuracy_seeds=20") -> str:
    return f"""
@pytest.mark.cnnbench(accuracy={target}, seeds="0-2"{known})
def test_{name}(cnnbench_accuracy, cnnbench_judge): cnnbench_judge(cnnbench_accuracy)
"""


# Every run has 0.75, which is no proof of 0.74.
CLEAR, RED, OPEN = gate("clear", 0.1), gate("red", 0.9), gate("open", 0.74, known="")
JSON = "--benchmark-json=benchmark.json"
PLACE = Place("tensorflow", "cpu", 1)
RUNS = "@pytest.mark.cnnbench(variants='wide,dropout')\ndef test_{}(cnnbench_runs): pass\n"
RUN = RUNS.format("it")
SPEED = "def test_speed(cnnbench_training_throughput): pass\n"


@pytest.mark.parametrize(
    ("gates", "broken", "code"),
    [
        (CLEAR, "", 0),
        (CLEAR + OPEN, "", 10),
        (CLEAR + OPEN, "wide", 11),
        (OPEN + RED, "", 1),
        (CLEAR + OPEN + "def test_own(): assert False\n", "", 1),
    ],
)
def test_exit_codes(world, own, gates, broken, code):
    world.broken = broken
    run = own(gates, "--cnnbench-max-seeds=3")
    assert run.code == code, run.output


def test_an_undecided_gate_is_neither_passed_nor_failed(world, own):
    run = own(OPEN, "--cnnbench-max-seeds=3")
    assert "accuracy inconclusive: wide held-out accuracy 0.75" in run.messages["test_open[wide]"]
    section = run.output.split("= INCONCLUSIVE =")[1]
    assert "test_own.py::test_open[wide]: accuracy inconclusive: wide held-out" in section
    assert section.strip().splitlines()[-1].strip("= ").startswith("1 inconclusive in ")
    assert run.report().checks["verdict"].tolist() == ["inconclusive"]


def test_an_undecided_gate_can_be_allowed(world, own):
    run = own(OPEN, "--cnnbench-max-seeds=3", "--cnnbench-inconclusive=allow")
    assert (run.code, run.outcomes) == (0, {"test_open[wide]": "skipped"})
    assert run.properties["test_open[wide]"]["verdict"] == "inconclusive"
    assert "accuracy inconclusive: " in run.output.split("= INCONCLUSIVE =")[1]


@pytest.mark.parametrize(("gates", "verdict"), [(CLEAR, "pass"), (RED, "fail")])
def test_junit_has_the_verdict_and_its_numbers(world, own, gates, verdict):
    run = own(gates)
    (found,) = run.properties.values()
    (row,) = run.report().checks.to_dict("records")
    assert (found["check"], found["verdict"], found["values"]) == ("accuracy", verdict, "3")
    for name in ("observed", "threshold", "low", "high", "p_value", "alpha"):
        assert float(found[name]) == pytest.approx(row[name])


def test_a_gate_that_cant_be_judged_has_the_same_properties(world, own):
    world.broken = "wide"
    run = own(CLEAR)
    found = run.properties["test_clear[wide]"]
    assert (found["check"], found["verdict"]) == ("accuracy", "error")
    assert (found["observed"], found["threshold"]) == ("nan", "nan")
    message = "accuracy of wide could not be judged: training wide seed 0: no such layer"
    assert message in run.messages["test_clear[wide]"]
    assert run.report().checks["verdict"].tolist() == ["error"]


def test_files_are_read_once(world, own, pytester, monkeypatch):
    read, real = [], asks.read_targets
    monkeypatch.setattr(asks, "read_targets", lambda path: read.append(path) or real(path))
    (pytester.path / "targets.toml").write_text("[default]\naccuracy = 0.1\n")
    tests = "def test_it(cnnbench_accuracy, cnnbench_target): cnnbench_target('accuracy')\n"
    assert own(tests, "--cnnbench-variants=wide,dropout", "--cnnbench-seeds=0-2").code == 0
    assert read == [pytester.path / "targets.toml"]


def test_a_threshold_that_is_not_stated_is_a_skip_that_says_so(world, own):
    tests = "def test_it(cnnbench_target, cnnbench_variant): cnnbench_target('accuracy')"
    reason = "targets.toml has no 'accuracy' for the pictures 'tiny' and the variant 'wide'"
    assert reason in own(tests).messages["test_it[wide]"]


def test_an_error_is_shown_in_full_once_per_variant(world, own):
    error = JobError("training", "no such layer", "line 7 of my model")
    world.errors = {Train: error, Sanity: error}
    tests = "def test_three(cnnbench_memorization): pass\n"
    run = own(RUNS.format("one") + RUNS.format("two") + tests)
    assert "training: no such layer\nline 7 of my model" in run.messages["test_one[wide]"]
    for name in ("test_two[wide]", "test_three[wide]"):
        assert "wide can't be used: see test_own.py::test_one[wide]" in run.messages[name]
    assert "line 7" in run.messages["test_one[dropout]"]
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("flag", "error", "text"),
    [
        ("-v", JobError("building", "no GPU", "a\nb"), "ERROR: building: no GPU\na\nb"),
        ("-v", ValueError("a bad model"), "ERROR: a bad model"),
        ("--cnnbench-report-dir=test_own.py/x", None, "ERROR: Can't write reports there"),
        ("--cnnbench-data=no/such", None, "ERROR: The folder of pictures does not exist"),
    ],
)
def test_what_the_user_can_mend_is_one_error(world, own, flag, error, text):
    world.errors = {CheckModels: error} if error else {}
    run = own(RUN, flag)
    assert (run.code, run.reports) == (pytest.ExitCode.USAGE_ERROR, [])
    assert text in run.output
    assert "Traceback" not in run.output


def test_a_bad_targets_file_is_an_error_before_pictures_are_read(world, own, pytester):
    (pytester.path / "targets.toml").write_text("[default]\naccurcy = 0.1\n")
    run = own(RUN, "--cnnbench-data=.")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "[default] accurcy: unknown, expected one of accuracy" in run.output


def test_a_model_that_ends_its_worker_is_reported_by_its_own_tests(world, own):
    world.errors = {CheckModels: WorkerDied("building", PLACE, -9, "its last words")}
    assert own(RUN).code == 0


def test_nothing_is_trained_on_pictures_that_leak(world, own, tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "leaking")
    shutil.copy(folder / "train/dogs/007.png", folder / "validation/dogs/copy.png")
    test = "def test_held_out(cnnbench_held_out): assert len(cnnbench_held_out) == 3\n"
    run = own(test + RUN, f"--cnnbench-data={folder}")
    assert (run.code, run.outcomes, world.of(Train)) == (1, {"test_held_out": "passed"}, [])
    message = own(RUN, f"--cnnbench-data={folder}").messages["test_it[wide]"]
    assert "Nothing is trained: " in message
    assert "train/dogs/007.png" in message


def test_tests_under_xdist_say_that_they_cant(world, own):
    run = own(RUN, conftest="def pytest_configure(config): config.workerinput = {}")
    assert run.output.count("\ncnnbench starts processes of its own") == 2
    assert "run this test without xdist (-n 0)." in run.output
    assert run.reports == []


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--benchmark-skip",), ("-k", "none")])
def test_nothing_starts_if_no_test_runs(world, own, arguments):
    assert own(RUN, *arguments).reports == []
    assert world.done == []


@pytest.mark.parametrize(
    ("selected", "trained"),
    [
        ("test_seed", set()),
        ("test_run and 5", {5}),
        ("test_runs", {4, 5}),
        ("sanity", {"memorization", "shuffled_labels"}),
    ],
)
def test_only_what_selected_tests_need_is_trained_ahead(world, own, selected, trained):
    tests = """
def test_seed(cnnbench_variant, cnnbench_seed): pass
def test_run(cnnbench_run): pass
def test_runs(cnnbench_runs): pass
def test_sanity(cnnbench_memorization, cnnbench_shuffled_labels): pass
"""
    own(tests, "--cnnbench-seeds=4-5", "-k", selected)
    assert {getattr(job, "kind", job.seed) for job in world.of(Train, Sanity)} == trained


def test_trainings_begin_before_tests_ask_for_them(world, own):
    own("def test_it(cnnbench_memorization, cnnbench_run): pass", "--cnnbench-workers=1")
    assert [type(job) for job in world.of(Train, Sanity)] == [Train, Sanity]


@pytest.mark.parametrize(
    ("fixture", "seconds", "info"),
    [
        ("run", 10.0, {"seed": 0, "generalization_gap": 0.125, "images_per_second": 19.2}),
        ("memorization", 2.0, {"accuracy": 1.0, "steps": 50}),
        ("shuffled_labels", 2.0, {"accuracy": 1.0, "steps": 50}),
    ],
)
def test_a_training_is_a_benchmark_with_its_accuracy(own, world, fixture, seconds, info):
    (one,) = own(f"def test_it(cnnbench_{fixture}): pass", JSON).benchmarks()["benchmarks"]
    assert one["stats"]["data"] == [seconds]
    assert one["extra_info"] == {"variant": "wide", "accuracy": 0.75, **info}


def test_a_speed_is_a_benchmark_with_the_row_of_the_table(world, own):
    run = own("def test_run(cnnbench_run): pass\n" + SPEED, JSON)
    assert run.benchmarks()["cnnbench"]["data"]["name"] == "tiny"
    _, one = run.benchmarks()["benchmarks"]
    assert one["stats"]["data"] == [pytest.approx(1 / 100)]
    (row,) = run.report().throughput.to_dict("records")
    assert set(one["extra_info"]) == {*row, "accuracy"}
    for name in ("images_per_second", "percent_of_peak"):
        assert one["extra_info"][name] == pytest.approx(row[name])
    assert one["extra_info"]["accuracy"] == 0.75


def test_a_sweep_shows_its_fastest_batch_size(world, own):
    rates = {1: 100.0, 2: 300.0, 4: 200.0}
    world.speed = lambda row: rates.get(row.batch_size, 250.0)
    run = own(SPEED, "--cnnbench-batch-sizes=sweep", JSON)
    (one,) = run.benchmarks()["benchmarks"]
    assert one["extra_info"]["batch_size"] == 2
    assert one["stats"]["data"] == [pytest.approx(1 / 300)]
    assert {job.batch_size for job in world.of(MakeReference)} <= {1, 2, 4, 8}


def test_a_batch_that_does_not_fit_is_a_skip_that_says_so(world, own):
    world.speed = lambda row: None
    (message,) = own(SPEED).messages.values()
    assert "batch size 32 does not fit into memory; throughput.csv has the row" in message


@pytest.mark.parametrize(
    ("arguments", "rounds"),
    [(("--cnnbench-warmup-rounds=4",), (7, 4)), (("--benchmark-disable",), (1, 0))],
)
def test_rounds_are_those_of_the_marker_and_the_options(world, own, arguments, rounds):
    own("@pytest.mark.cnnbench(rounds=7)\n" + SPEED, *arguments)
    assert [(job.rounds, job.warmup_rounds) for job in world.of(Measure)] == [rounds]


def test_profiling_takes_a_further_call(world, own):
    assert own("def test_it(cnnbench_held_out): pass", "--benchmark-cprofile=tottime").code == 0
