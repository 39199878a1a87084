"""Which tests there are, in which order, and what is refused before anything starts."""

from __future__ import annotations

import re

import pytest
from suite_runs import SUITES, SuiteRun

COLLECT = ("--collect-only", "-q")
HEAVY = {"keras", "tensorflow", "jax", "torch", "pandas", "numpy", "PIL", "scipy"}


def collected(run: SuiteRun) -> list[str]:
    """Returns the names of the tests that pytest collected, in order."""
    return [line.partition("::")[2] for line in run.output.splitlines() if "::" in line]


def test_a_foreign_project_loads_nothing_heavy_and_sees_nothing(pytester):
    """In a process of its own, since this one has loaded everything."""
    pytester.makepyfile(f"import sys\ndef test_it(): assert not {HEAVY!r} & set(sys.modules)")
    done = pytester.runpytest_subprocess()
    assert done.ret == 0, done.outlines
    done.stdout.no_fnmatch_line("*cnnbench: *")
    assert not (pytester.path / "reports").exists()


def test_a_marker_goes_before_options_and_those_before_the_ini_file(own):
    test = "def test_it(cnnbench_run): pass"
    assert collected(own(test, *COLLECT)) == ["test_it[wide-0]"]
    options = (*COLLECT, "--cnnbench-seeds=8-8")
    assert collected(own(test, *options)) == ["test_it[wide-8]"]
    run = own(f"@pytest.mark.cnnbench(seeds=[4, 5])\n{test}", *options)
    assert collected(run) == ["test_it[wide-4]", "test_it[wide-5]"]


def test_every_combination_that_a_backend_can_do_is_a_test(own):
    tests = """
def test_it(cnnbench_backend, cnnbench_workload, cnnbench_dtype): pass
def test_training(cnnbench_dtype, cnnbench_training_throughput): pass
"""
    options = ("--cnnbench-backends=jax,openvino", "--cnnbench-dtypes=float32,int8")
    assert collected(own(tests, *COLLECT, *options)) == [
        "test_it[train-jax-float32]",
        "test_it[inference-jax-float32]",
        "test_it[inference-jax-int8]",
        "test_it[inference-openvino-float32]",
        "test_it[inference-openvino-int8]",
        "test_training[wide-jax-cpu-float32-32]",
    ]


def test_auto_tests_the_devices_that_there_are(monkeypatch, own):
    monkeypatch.setattr("cnnbench.session.options.auto_devices", lambda: ("cpu", "gpu"))
    run = own("def test_it(cnnbench_device): pass", *COLLECT)
    assert collected(run) == ["test_it[cpu]", "test_it[gpu]"]


def test_where_nothing_can_be_measured_a_skip_says_why(world, own):
    run = own("def test_it(cnnbench_training_throughput): pass", "--cnnbench-backends=openvino")
    reason = "not what openvino can do in these dtypes: float32"
    assert reason in run.messages["test_it[wide-nowhere]"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("seeds=one epochs=0", "ERROR: --cnnbench-seeds: expected .*\n--cnnbench-epochs: expected"),
        ("seeds=0-2 max-seeds=2", "ERROR: --cnnbench-max-seeds: expected at least 3, .*: 2"),
        ("seeds=0-8 max-seeds=8", "ERROR: --cnnbench-max-seeds: expected at least 9, .*: 8"),
    ],
)
def test_bad_options_are_one_error(own, options, problem):
    run = own("", *(f"--cnnbench-{option}" for option in options.split()))
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert re.search(problem, run.output)


def test_more_seeds_than_the_default_most_may_be_asked_for(own):
    assert own("", "--cnnbench-seeds=0-8").code == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("variant='wide'", "takes variants, seeds, .*Received: variant"),
        ("seeds=3", "--cnnbench-seeds: a lone number is ambiguous; write 0-2"),
        ("seeds='0-2'", "--cnnbench-max-seeds: expected at least 3, .*Received: 2"),
    ],
)
def test_a_bad_marker_is_one_error(own, arguments, problem):
    tests = f"@pytest.mark.cnnbench({arguments})\ndef test_it(cnnbench_run): pass"
    run = own(tests, "--cnnbench-seeds=0-1", "--cnnbench-max-seeds=2")
    assert run.code == pytest.ExitCode.INTERRUPTED
    (message,) = run.messages.values()
    assert "test_own.py" in message
    assert re.search(problem, message)
    assert "Traceback" not in run.output


def test_a_check_that_benchmark_only_would_skip_is_an_error(own):
    tests = "@pytest.mark.cnnbench\ndef test_mine(): pass\ndef test_other(): pass"
    run = own(tests, "--benchmark-only")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "--benchmark-only would skip these checks in silence" in run.output
    assert "test_own.py::test_mine" in run.output
    assert "test_other" not in run.output


def test_every_test_of_the_suites_is_one_of_cnnbench(pytester):
    items, _ = pytester.inline_genitems(str(SUITES))
    assert items
    assert all(item.get_closest_marker("cnnbench") for item in items)


def test_options_and_types_of_fixtures_are_documented(pytester):
    pytester.runpytest_inprocess("--help").stdout.fnmatch_lines(
        ["*--cnnbench-variants=NAMES*", "*cnnbench_seeds (string):*"]
    )
    lines = pytester.runpytest_inprocess("--fixtures").outlines
    shown = [number for number, line in enumerate(lines) if line.startswith("cnnbench_")]
    assert len(shown) == 24
    for number in shown:
        assert lines[number + 1].strip().startswith(("`", "Function")), lines[number]
