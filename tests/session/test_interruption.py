"""What was finished before a session ended early is not lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from suite_runs import QUICK, ROOT, SUITES, run_command

from cnnbench.report.frames import load_report


def interrupted(data: Path, reports: Path, how: Callable[[subprocess.Popen[str]], None]) -> int:
    """Starts a session, ends it when its first training is finished and returns its exit code."""
    command = [
        *(sys.executable, "-m", "pytest", str(SUITES / "test_training.py")),
        *("-k", "test_training_finished", "-p", "no:cacheprovider", "--cnnbench-seeds=0-9"),
        *(f"--cnnbench-data={data}", f"--cnnbench-report-dir={reports}", *QUICK),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs tests in the background has its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ": held-out accuracy " in line:
                how(process)
                break
        process.stdout.read()
        return process.wait()


def test_ctrl_c_writes_the_report(tiny_folder: Path, tmp_path: Path) -> None:
    code = interrupted(tiny_folder, tmp_path, lambda process: process.send_signal(signal.SIGINT))
    assert code == pytest.ExitCode.INTERRUPTED
    (report,) = tmp_path.iterdir()
    assert (report / "runs.csv").is_file()
    assert 1 <= len(load_report(report).runs) < 40


def test_kill_9_leaves_a_journal_that_show_can_read(tiny_folder: Path, tmp_path: Path) -> None:
    code = interrupted(tiny_folder, tmp_path, lambda process: process.kill())
    assert code == -signal.SIGKILL
    (report,) = tmp_path.iterdir()
    assert [path.name for path in report.iterdir()] == ["journal.jsonl"]
    assert 1 <= len(load_report(report).runs) < 40
    shown = run_command("show", str(report), cwd=tmp_path)
    assert "documented" in shown.stdout
