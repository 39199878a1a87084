"""What a worker process may leave behind: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cnnbench.machine.backends import missing
from cnnbench.machine.place import Place
from cnnbench.session.workers.jobs import FindGpus
from cnnbench.session.workers.process import WorkerDied, WorkerProcess

# Stands for a backend, or for a user's model, that starts a process of its own.
SPAWNING = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
"""
SESSION = """
import sys
from cnnbench.session.workers.jobs import FindGpus
from cnnbench.session.workers.process import WorkerProcess
from cnnbench.machine.place import Place
worker = WorkerProcess(Place("onnxruntime", "cpu", 1))
worker.do(FindGpus())
print("ready", flush=True)
sys.stdin.read()
"""


def descendants(process: psutil.Process) -> set[psutil.Process]:
    return set(process.children(recursive=True))


@contextmanager
def started(spec: Place) -> Iterator[tuple[WorkerProcess, psutil.Process]]:
    """Starts a worker; yields it with its process once it is ready."""
    before = descendants(psutil.Process())
    worker = WorkerProcess(spec)
    try:
        worker.do(FindGpus())
        (process,) = {child for child in psutil.Process().children() if child not in before}
        yield worker, process
    finally:
        worker.stop()


@pytest.fixture
def spawning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "onnxruntime.py").write_text(SPAWNING)
    monkeypatch.chdir(tmp_path)
    return Place("onnxruntime", "cpu", 1)


@pytest.mark.skipif(missing("openvino") is not None, reason="OpenVINO is not installed")
def test_openvino_reports_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with started(Place("openvino", "cpu", 1)) as (_, process):
        assert descendants(process) == set()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_keeps_compiled_modules(
    spawning: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    with started(spawning):
        assert (tmp_path / "__pycache__").is_dir()


def test_what_a_worker_started_ends_with_it(spawning: Place) -> None:
    with started(spawning) as (_, process):
        found = {process, *descendants(process)}
        assert len(found) == 2
    assert psutil.wait_procs(found, timeout=10)[1] == []


def test_what_a_worker_started_ends_when_it_dies(spawning: Place) -> None:
    with started(spawning) as (worker, process):
        found = descendants(process)
        process.kill()
        with pytest.raises(WorkerDied) as died:
            worker.do(FindGpus())
        assert died.value.signal == signal.SIGKILL
    assert psutil.wait_procs(found, timeout=10)[1] == []


def test_nothing_outlives_a_session_that_was_killed(spawning: Place) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"ready\n"
        found = descendants(psutil.Process(session.pid))
        assert len(found) == 2
        session.kill()
    assert psutil.wait_procs(found, timeout=10)[1] == []
