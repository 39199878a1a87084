"""`cnnbench run` is pytest on the installed suites, with shorter names of options."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_runs import run_command

from cnnbench.cli import main


def test_run_collects_the_installed_suites_for_the_options_given(
    tiny_folder: Path, tmp_path: Path
) -> None:
    done = run_command(
        "run",
        f"--data={tiny_folder}",
        "--variants=wide",
        "--seeds=3-3",
        "--",
        "--collect-only",
        "-q",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "test_training.py::test_training_finished[wide-3]" in done.stdout
    assert "test_data.py::test_held_out" in done.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [("--seeds=x", "seeds: expected a whole number"), ("--data=nowhere", "no such folder")],
)
def test_bad_input_ends_with_pytest_s_exit_code(
    option: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", option]) == pytest.ExitCode.USAGE_ERROR
    assert message in capfd.readouterr().err
