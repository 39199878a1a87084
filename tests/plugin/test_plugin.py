"""What a pytest user expects of the plugin, in their own project and in the suites."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite_runs import QUICK, run_pytest

from cnnbench.machine.backends import BACKENDS, missing

HEAVY = ("keras", "tensorflow", "jax", "torch", "pandas", "numpy", "PIL")
ABSENT = next((name for name in BACKENDS if missing(name)), None)


# In a project that does not use it


def test_a_foreign_project_loads_nothing_heavy_and_sees_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"""
        import sys
        def pytest_unconfigure():
            print("LOADED", [name for name in {HEAVY!r} if name in sys.modules])
        """
    )
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--collect-only", "-s")
    result.stdout.fnmatch_lines(["LOADED []"])
    assert "cnnbench:" not in result.stdout.str()
    assert not (pytester.path / "reports").exists()


def test_the_plugin_adds_less_than_50_ms() -> None:
    """The sum of what importing the plugin adds to pytest's own imports, best of five.

    Seconds of the CPU: those on the wall are other processes' too.
    """
    code = (
        "import pytest, time; start = time.process_time(); import cnnbench.plugin; "
        "print(time.process_time() - start)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.05


def test_options_and_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    result.stdout.fnmatch_lines(["*--cnnbench-variants=NAMES*", "*cnnbench_seeds (string):*"])
    result = pytester.runpytest_subprocess("--fixtures")
    result.stdout.fnmatch_lines(["cnnbench_runs -- *", "*The training runs of this variant*"])


# Collection


def test_collect_only_starts_nothing(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--collect-only", "-q")
    assert run.code == 0
    assert "test_inference_throughput[documented-tensorflow-cpu-float32-32]" in run.output
    assert not run.reports
    # Pictures come first, gates when trainings are done, measurements when gates added no more.
    lines = [line for line in run.output.splitlines() if "::test_" in line]
    order = [line.partition("::")[2].partition("[")[0] for line in lines]
    gates = ("accuracy", "accuracy_drop", "generalization_gap", "validation_loss_rise")
    places = [order.index(f"test_{name}") for name in gates]
    last_training = max(n for n, name in enumerate(order) if name == "test_shuffled_labels")
    assert order[0] == "test_held_out"
    assert last_training < min(places)
    assert max(places) < order.index("test_training_throughput")


def test_a_check_without_the_fixture_is_an_error_under_benchmark_only(tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    shutil.copytree(Path(__file__).parents[2] / "suites", suites)
    (suites / "test_own.py").write_text("def test_silent():\n    assert False\n")
    run = run_pytest(tmp_path / "run", "--benchmark-only", suites=suites)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "--benchmark-only would skip these checks in silence" in run.output
    assert "test_own.py::test_silent" in run.output


def test_a_marked_check_without_the_fixture_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.cnnbench\ndef test_mine(): pass\ndef test_other(): pass"
    )
    result = pytester.runpytest_subprocess("--benchmark-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::test_mine"])
    result.stderr.no_fnmatch_line("*test_other*")


def test_a_marker_takes_the_place_of_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cnnbench(variants="wide", seeds=[4, 5])
        def test_mine(cnnbench_run): pass
        """
    )
    result = pytester.runpytest_subprocess("--collect-only", "-q", "--cnnbench-variants=dropout")
    names = [line.partition("::")[2] for line in result.outlines if "::" in line]
    assert names == ["test_mine[wide-4]", "test_mine[wide-5]"]


def test_a_bad_marker_is_one_clear_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cnnbench(variant="wide")
        def test_mine(cnnbench_run): pass
        """
    )
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*takes variants, seeds, *. Received: variant"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*options_of*")


def test_the_ini_file_gives_defaults(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ncnnbench_variants = wide\ncnnbench_seeds = 3-3")
    pytester.makepyfile("def test_mine(cnnbench_run): pass")
    result = pytester.runpytest_subprocess("--collect-only", "-q", "--cnnbench-seeds=8-8")
    result.stdout.fnmatch_lines(["*::test_mine?wide-8?"])


# Selection


def test_a_single_id_trains_only_what_it_needs(tiny_folder: Path, tmp_path: Path) -> None:
    suite = Path(__file__).parents[2] / "suites"
    run = run_pytest(
        tmp_path,
        f"--cnnbench-data={tiny_folder}",
        *QUICK,
        suites=f"{suite / 'test_training.py'}::test_training_finished[dropout-1]",
    )
    assert run.code == 0, run.output
    report = run.report()
    assert report.runs[["variant", "seed"]].to_numpy().tolist() == [["dropout", 1]]
    assert report.checks["check"].tolist() == ["training_finished"]


def test_benchmark_skip_trains_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--benchmark-skip", f"--cnnbench-data={tiny_folder}", *QUICK)
    assert run.code == 0
    assert set(run.outcomes.values()) == {"skipped"}
    assert not run.reports


def test_benchmark_disable_still_judges(tiny_folder: Path, tmp_path: Path) -> None:
    run = run_pytest(
        tmp_path,
        "--benchmark-disable",
        f"--cnnbench-data={tiny_folder}",
        "--cnnbench-variants=single-block",
        "--cnnbench-seeds=0",
        *QUICK,
        "-k",
        "majority",
    )
    assert run.code == 0, run.output
    assert run.report().checks["verdict"].tolist() == ["pass"]


# Bad input: one clear error, exit code 4, no traceback, no report


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cnnbench-variants=documentd"], "Unknown variant. Expected one of documented"),
        (["--cnnbench-seeds=one"], "--cnnbench-seeds: expected a whole number of at least 0"),
        (["--cnnbench-epochs=0"], "--cnnbench-epochs: expected a whole number of at least 1"),
        (["--cnnbench-batch-sizes=32,x"], "--cnnbench-batch-sizes: expected a whole number"),
        (["--cnnbench-devices=tpu"], "--cnnbench-devices: expected cpu, gpu, or gpu:0"),
        (["--cnnbench-protocol=quick"], "Unknown protocol. Expected one of one-pass, documented"),
        (["--cnnbench-data=/no/such/folder"], "--cnnbench-data: no such folder"),
        ([f"--cnnbench-backends={ABSENT}"], rf"pip install '\.\[{ABSENT}\]'"),
        (["--cnnbench-devices=gpu"], "tensorflow sees no GPU on this machine"),
    ],
    ids=lambda value: value[0][2:] if isinstance(value, list) else "",
)
def test_a_bad_option_is_one_clear_error(
    arguments: list[str], message: str, tiny_folder: Path, tmp_path: Path
) -> None:
    if arguments[0].endswith("=None"):
        pytest.skip("every backend is installed here, so nothing is missing")
    if "gpu" in arguments[0] and Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU, so nothing is missing")
    given = [] if "--cnnbench-data" in arguments[0] else [f"--cnnbench-data={tiny_folder}"]
    run = run_pytest(tmp_path, *given, *arguments)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert re.search(rf"^ERROR: .*{message}", run.output, re.MULTILINE), run.output
    assert "Traceback" not in run.output
    assert not run.reports


def test_a_folder_without_pictures_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = run_pytest(tmp_path / "run", f"--cnnbench-data={tmp_path / 'empty'}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"^ERROR: .*empty", run.output, re.MULTILINE)
    assert "Traceback" not in run.output
    assert not run.reports


def test_a_bad_targets_file_is_told_before_any_training(tiny_folder: Path, tmp_path: Path) -> None:
    targets = tmp_path / "mine.toml"
    targets.write_text("[tiny]\naccurcy = 0.8\n")
    run = run_pytest(
        tmp_path, f"--cnnbench-data={tiny_folder}", f"--cnnbench-targets={targets}", *QUICK
    )
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"^ERROR: .*mine.toml has 1 problem", run.output, re.MULTILINE)
    assert "[tiny] accurcy: unknown, expected one of accuracy" in run.output
    assert not run.reports


def test_one_class_only_is_one_clear_error(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder / "train" / "cats", tmp_path / "pictures" / "cats")
    run = run_pytest(tmp_path / "run", f"--cnnbench-data={tmp_path / 'pictures'}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "'cats'" in run.output
    assert "Traceback" not in run.output


def test_a_truncated_picture_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(tiny_folder, folder)
    victim = folder / "train" / "dogs" / "003.png"
    victim.write_bytes(victim.read_bytes()[:200])
    run = run_pytest(tmp_path / "run", f"--cnnbench-data={folder}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "003.png" in run.output
    assert "Traceback" not in run.output


def test_a_report_folder_that_cant_be_written_is_one_clear_error(
    tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    where = tmp_path / "file" / "reports"
    run = run_pytest(tmp_path, f"--cnnbench-data={tiny_folder}", f"--cnnbench-report-dir={where}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: Can't write reports there" in run.output
    assert "Traceback" not in run.output


def test_bad_models_are_told_before_any_training(tiny_folder: Path, tmp_path: Path) -> None:
    run = run_pytest(
        tmp_path,
        f"--cnnbench-data={tiny_folder}",
        "--cnnbench-variants=documented,faults:wrong_shape,faults:raises,"
        "faults:linear,faults:raises_in_training",
        *QUICK,
    )
    assert run.code == pytest.ExitCode.USAGE_ERROR
    for name in ("wrong_shape", "raises", "linear", "raises_in_training"):
        assert len(re.findall(rf"faults:{name} .*faults.py:\d+", run.output)) == 1
    assert "Traceback" not in run.output
    assert not run.reports


def test_what_goes_wrong_in_training_is_told_once(tiny_folder: Path, tmp_path: Path) -> None:
    run = run_pytest(
        tmp_path,
        f"--cnnbench-data={tiny_folder}",
        "--cnnbench-variants=faults:raises_later",
        "--cnnbench-seeds=0,1",
        *QUICK,
        *("-s", "-k", "majority or memorization or initial_loss"),
    )
    told = [name for name, text in run.messages.items() if "this batch fails" in text]
    assert len(told) == 1
    assert set(run.messages) == set(run.outcomes)
    others = [text for name, text in run.messages.items() if name not in told]
    assert len(others) == 2
    for text in others:
        assert "faults:raises_later can't be used: see suites/test_" in text
    assert run.output.count("failed: faults:raises_later failed in") == 1  # as it happens
    assert "I0000" not in run.output  # a line of TensorFlow's log
    assert "Traceback" not in run.output
