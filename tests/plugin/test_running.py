"""Verdicts, exit codes, errors and benchmarks of a session whose numbers are made up."""

from __future__ import annotations

import json
import math

import pytest
from factories import measurement

from cnnbench.machine.place import Place
from cnnbench.report.rows import throughput_row
from cnnbench.session.workers.process import JobError, ProcessEnded, WorkerDied

# 0.75 under each seed is no proof of 0.74, as long as rounding may decide.
GATES = """
def gate(name, accuracy, *more):
    exec(f'''
@pytest.mark.cnnbench(variants="wide", accuracy={accuracy}, {", ".join(more)})
def test_{name}(cnnbench_accuracy, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy)
''', globals())
"""
CLEAR = "gate('clear', 0.1, 'accuracy_sd=0.001', 'accuracy_seeds=20')\n"
RED = "gate('red', 0.9, 'accuracy_sd=0.001', 'accuracy_seeds=20')\n"
OPEN = "gate('open', 0.74)\n"
CHECK = """
@pytest.mark.cnnbench(variants="wide,dropout")
def test_{name}(cnnbench_runs): pass
"""
KILLED = WorkerDied("training", Place("tensorflow", "cpu", 1), ProcessEnded(-9, "its last words"))


def speed(name: str = "inference") -> str:
    return f"def test_speed(cnnbench_{name}_throughput): pass\n"


@pytest.fixture
def benchmarks(pytester, own):
    """Returns pytest-benchmark's records of a session, by test name."""

    def run(tests: str, *arguments: str):
        path = pytester.path / "benchmark.json"
        done = own(tests, f"--benchmark-json={path}", "--cnnbench-variants=wide", *arguments)
        stored = json.loads(path.read_text())
        return {one["name"]: one for one in stored["benchmarks"]}, stored, done

    return run


# Verdicts and exit codes


@pytest.mark.parametrize(
    ("gates", "broken", "code"),
    [
        (CLEAR, False, 0),
        (CLEAR + OPEN, False, 10),
        (CLEAR + OPEN, True, 11),
        (OPEN + RED, False, 1),
        (CLEAR + OPEN + "def test_own(): assert False\n", False, 1),
    ],
)
def test_exit_codes(world, own, gates, broken, code):
    if broken:
        world.accuracy = lambda variant, seed: KILLED
    run = own(GATES + gates, "--cnnbench-max-seeds=3")
    assert run.code == code, run.output
    assert world.sessions[0].finished


def test_an_undecided_gate_is_neither_passed_nor_failed(world, own):
    run = own(GATES + OPEN, "--cnnbench-max-seeds=3")
    assert run.outcomes == {"test_open[wide]": "failure"}
    assert "accuracy inconclusive: wide held-out accuracy 0.75" in run.messages["test_open[wide]"]
    assert run.output.strip().splitlines()[-1].strip("= ").startswith("1 inconclusive in ")


def test_an_undecided_gate_can_be_allowed(world, own):
    run = own(GATES + OPEN, "--cnnbench-max-seeds=3", "--cnnbench-inconclusive=allow")
    assert (run.code, run.outcomes) == (0, {"test_open[wide]": "skipped"})
    assert run.properties["test_open[wide]"]["verdict"] == "inconclusive"
    assert "1 inconclusive in " in run.output


@pytest.mark.parametrize(("gates", "verdict"), [(CLEAR, "pass"), (RED, "fail")])
def test_junit_has_the_verdict_and_its_numbers(world, own, gates, verdict):
    (found,) = own(GATES + gates).properties.values()
    (result,) = world.judged
    assert (found["check"], found["verdict"], found["values"]) == ("accuracy", verdict, "3")
    for name in ("observed", "threshold", "low", "high", "p_value", "alpha"):
        assert float(found[name]) == pytest.approx(getattr(result, name))


def test_a_gate_that_cant_be_judged_has_the_same_properties(world, own):
    world.accuracy = lambda variant, seed: KILLED
    run = own(GATES + CLEAR)
    found = run.properties["test_clear[wide]"]
    assert (found["check"], found["verdict"]) == ("accuracy", "error")
    assert math.isnan(float(found["observed"]))
    assert math.isnan(float(found["threshold"]))
    (result,) = world.judged
    assert (result.variant, result.verdict) == ("wide", "error")
    message = run.messages["test_clear[wide]"]
    assert (
        "accuracy of wide could not be judged: training: the worker process ended by signal 9"
        in message
    )
    assert "its last words" in message


def test_files_are_read_once(world, own, pytester, monkeypatch):
    from cnnbench.verdicts import targets

    read = []
    monkeypatch.setattr(
        "cnnbench.plugin.running.read_targets",
        lambda path: read.append(path) or targets.read_targets(path),
    )
    (pytester.path / "targets.toml").write_text("[default]\naccuracy = 0.1\n")
    tests = "def test_it(cnnbench_accuracy, cnnbench_target): cnnbench_target('accuracy')\n"
    assert own(tests, "--cnnbench-variants=wide,dropout").code == 0
    assert read == [pytester.path / "targets.toml"]


def test_a_gate_is_known_once_and_trains_what_it_needs(world, own):
    own(GATES + CLEAR + "gate('same', 0.1, 'accuracy_sd=0.001', 'accuracy_seeds=20')\n")
    assert world.planned == [("wide", 0), ("wide", 1), ("wide", 2)]
    assert [result.verdict for result in world.judged] == ["pass", "pass"]


# Errors


def test_an_error_is_shown_in_full_once_per_variant(world, own):
    reason = "wide failed in training"
    world.accuracy = lambda variant, seed: JobError(f"seed {seed}", reason, "line 7")
    run = own(CHECK.format(name="one") + CHECK.format(name="two"))
    assert "seed 0: wide failed in training\nline 7" in run.messages["test_one[wide]"]
    assert "wide can't be used: see test_own.py::test_one[wide]" in run.messages["test_two[wide]"]
    assert "line 7" in run.messages["test_one[dropout]"]
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ValueError("these pictures are damaged"), ["ERROR: these pictures are damaged"]),
        (OSError("no report there"), ["ERROR: no report there"]),
        (JobError("asking", "no GPU", "a\nb"), ["ERROR: asking: no GPU", "a", "b"]),
    ],
)
@pytest.mark.parametrize("when", ["start", "check_models"])
def test_what_the_user_can_mend_is_one_error(world, own, error, lines, when):
    def fails() -> None:
        raise error

    setattr(world, when, fails)
    run = own(CHECK.format(name="it"))
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "\n".join(lines) in run.output
    assert "Traceback" not in run.output
    assert world.sessions[0].finished


def test_a_bad_targets_file_is_an_error_before_pictures_are_read(world, own, pytester):
    def fails() -> None:
        raise AssertionError

    world.start = fails
    (pytester.path / "targets.toml").write_text("[default]\naccurcy = 0.1\n")
    run = own(CHECK.format(name="it"))
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "[default] accurcy: unknown, expected one of accuracy" in run.output


def test_a_model_that_ends_its_worker_is_reported_by_its_own_tests(world, own):
    def fails() -> None:
        raise KILLED

    world.check_models = fails
    assert own(CHECK.format(name="it")).code == 0


def test_nothing_is_trained_on_pictures_that_leak(world, own):
    world.leaks = ("a.jpg is b.jpg",)
    run = own(
        "def test_held_out(cnnbench_held_out): assert cnnbench_held_out == ('a.jpg is b.jpg',)\n"
        + CHECK.format(name="it")
    )
    assert run.outcomes == {"test_held_out": "passed"}  # the others are not even begun
    assert (run.code, world.planned) == (1, [])
    run = own(CHECK.format(name="it"))
    assert "Nothing is trained: a.jpg is b.jpg" in run.messages["test_it[wide]"]


def test_tests_under_xdist_say_that_they_cant(world, own):
    conftest = "def pytest_configure(config): config.workerinput = {}"
    run = own(CHECK.format(name="it"), conftest=conftest)
    assert run.output.count("run this test without xdist (-n 0).\n") == 2
    assert world.sessions == []


@pytest.mark.parametrize("arguments", [("--collect-only",), ("--benchmark-skip",), ("-k", "none")])
def test_nothing_starts_if_no_test_runs(world, own, arguments):
    own(CHECK.format(name="it"), *arguments)
    assert world.sessions == []


def test_only_what_selected_tests_need_is_planned(world, own):
    tests = """
def test_run(cnnbench_run): pass
def test_runs(cnnbench_runs): pass
def test_sanity(cnnbench_memorization, cnnbench_shuffled_labels): pass
def test_both(cnnbench_training_throughput, cnnbench_inference_throughput): pass
def test_measured(cnnbench_measured): pass
"""
    chosen = ("--cnnbench-variants=wide", "--cnnbench-seeds=4-5")
    own(tests, *chosen, "-k", "test_run and not runs or test_both")
    assert (world.planned, len(world.rows)) == ([("wide", 4), ("wide", 5)], 2)
    own(tests, *chosen, "-k", "test_runs or sanity or measured")
    assert set(world.planned[2:]) == {
        ("wide", 4),
        ("wide", 5),
        ("wide", "memorization"),
        ("wide", "shuffled_labels"),
    }
    assert [job.row.workload for job in world.rows[2:]] == ["train", "inference"]


# Thresholds


def test_a_threshold_that_is_not_stated_is_a_skip_that_says_so(world, own):
    tests = "def test_it(cnnbench_target, cnnbench_variant): cnnbench_target('accuracy')"
    run = own(tests, "--cnnbench-variants=wide")
    reason = "targets.toml has no 'accuracy' for the pictures 'pets' and the variant 'wide'"
    assert reason in run.messages["test_it[wide]"]


def test_a_test_of_no_variant_has_the_thresholds_of_its_pictures(world, own):
    tests = "def test_it(cnnbench_target): assert cnnbench_target('class_balance') == 0.2"
    assert own(tests).outcomes == {"test_it": "passed"}


# Benchmarks


def test_a_run_is_a_benchmark_with_its_accuracy(world, benchmarks):
    found, stored, _ = benchmarks("def test_it(cnnbench_run): pass", "--cnnbench-seeds=0")
    (one,) = found.values()
    assert one["stats"]["data"] == [4.0]
    assert one["extra_info"] == {
        "variant": "wide",
        "seed": 0,
        "accuracy": 0.75,
        "generalization_gap": 0.125,
        "images_per_second": 48.0,
    }
    assert stored["cnnbench"] == {"data": {"name": "pets"}}


def test_a_speed_is_a_benchmark_with_the_columns_of_the_table(world, benchmarks):
    tests = "def test_run(cnnbench_run): pass\n" + speed()
    found, _, _ = benchmarks(tests, "--cnnbench-batch-sizes=32", "--cnnbench-seeds=0")
    one = found["test_speed[wide-tensorflow-cpu-float32-32]"]
    assert one["stats"]["data"] == [1 / 64] * 3
    row = throughput_row(measurement(variant="wide"))
    assert set(one["extra_info"]) == {*row, "accuracy"}
    assert (one["extra_info"]["images_per_second"], one["extra_info"]["accuracy"]) == (64, 0.75)


def test_a_sweep_shows_its_fastest_batch_size(world, benchmarks):
    rates = {1: 4.0, 2: 1.0, 4: 2.0}
    world.timed = lambda place, row: measurement(
        row=row, place=place, round_seconds=(rates[row.batch_size],) * 2
    )
    (one,) = benchmarks(speed(), "--cnnbench-batch-sizes=sweep")[0].values()
    assert one["extra_info"]["batch_size"] == 2
    assert one["stats"]["data"] == [0.25, 0.25]
    assert world.rows == []


def test_a_batch_that_does_not_fit_is_a_skip_that_says_so(world, own):
    world.timed = lambda place, row: measurement(row=row, out_of_memory=True, round_seconds=())
    run = own(speed(), "--cnnbench-variants=wide")
    (message,) = run.messages.values()
    assert "batch size 32 does not fit into memory; throughput.csv has the row" in message


def test_benchmark_disable_measures_a_single_round(world, own):
    own(speed("training"), "--benchmark-disable", "--cnnbench-variants=wide")
    ((_, job),) = world.measured
    assert (job.rounds, job.warmup_rounds) == (1, 0)


def test_rounds_are_those_of_the_options_and_the_marker(world, own):
    tests = "@pytest.mark.cnnbench(variants='wide', rounds=7)\n" + speed()
    own(tests, "--cnnbench-warmup-rounds=4")
    assert {(job.rounds, job.warmup_rounds) for _, job in world.measured} == {(7, 4)}
    assert {(job.rounds, job.warmup_rounds) for job in world.rows} == {(7, 4)}


@pytest.mark.parametrize(
    ("fixture", "seconds"),
    [("held_out", 0.5), ("memorization", 2.0), ("shuffled_labels", 2.0)],
)
def test_seconds_are_those_that_were_recorded(world, benchmarks, fixture, seconds):
    (one,) = benchmarks(f"def test_it(cnnbench_{fixture}): pass")[0].values()
    assert one["stats"]["data"] == [seconds]


def test_profiling_takes_a_further_call(world, own):
    run = own("def test_it(cnnbench_held_out): pass", "--benchmark-cprofile=tottime")
    assert run.outcomes == {"test_it": "passed"}
