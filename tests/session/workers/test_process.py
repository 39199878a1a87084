"""Real worker processes: the same everywhere, replaced when they die, and gone when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cnnbench.machine.backends import Place, missing
from cnnbench.models.variants import VARIANTS, variant_named
from cnnbench.records.records import Row, TrainingRun
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus, Measure, MeasurePeak, Train
from cnnbench.session.workers.process import JobError, WorkerDied, WorkerProcess
from cnnbench.training.protocols import Protocol

PLACE, OTHER = Place("tensorflow", "cpu", 1), Place("onnxruntime", "cpu", 1)
SHORT = Protocol("one-pass", epochs=1)
# Random in training, with weights that are not trained, with random layers before the rest.
FEW = ("dropout", "batchnorm", "augmented")

# Stands for a backend, or for a user's model, that prints and starts a process of its own.
SPAWNING = """
import subprocess, sys
print("a line that is no answer", flush=True)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
"""
SESSION = f"""
import sys
from cnnbench.machine.backends import Place
from cnnbench.session.workers.jobs import FindGpus
from cnnbench.session.workers.process import WorkerProcess
WorkerProcess({OTHER!r}).do(FindGpus())
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    crew = Crew(Progress(lambda line: None))
    yield crew
    crew.close()


@pytest.mark.parametrize("names", [FEW, pytest.param(tuple(VARIANTS), marks=pytest.mark.slow)])
def test_a_worker_that_dies_is_replaced_by_one_that_trains_to_the_same_bits(
    crew: Crew, names: tuple[str, ...], tiny_manifest: Path, tmp_path: Path
) -> None:
    def trained(name: str, file: str) -> Future[TrainingRun]:
        job = Train(variant_named(name), tiny_manifest, 0, SHORT, tmp_path / file)
        return crew.submit(PLACE, job)

    first = [trained(name, "first.npz") for name in names]
    dying = trained("faults:crashing", "none.npz")
    second = [trained(name, "second.npz") for name in reversed(names)]
    for one, other in zip(first, reversed(second), strict=True):
        assert one.result().weights_sha256 == other.result().weights_sha256
        assert one.result().val_probabilities == other.result().val_probabilities
    with pytest.raises(WorkerDied, match=r"faults:crashing seed 0: .* ended by signal 9 ") as died:
        dying.result()
    assert died.value.signal == signal.SIGKILL


def test_a_job_that_fails_costs_no_worker(crew: Crew, tiny_manifest: Path) -> None:
    with pytest.raises(JobError, match="this model can't be made") as raised:
        crew.do(PLACE, Train(variant_named("faults:raises"), tiny_manifest, 0, SHORT))
    assert raised.value.details == ""
    odd = replace(VARIANTS["documented"], blocks=("many",))  # type: ignore[arg-type]
    with pytest.raises(JobError, match=r"^training documented seed 0: ") as raised:
        crew.do(PLACE, Train(odd, tiny_manifest, 0, SHORT))
    assert str(raised.value).endswith(raised.value.reason)
    assert raised.value.details.startswith("Traceback")
    assert not isinstance(raised.value, WorkerDied)
    assert crew.do(PLACE, FindGpus()) == ()


# Without a backend that takes seconds to import


@contextmanager
def started(place: Place) -> Iterator[tuple[WorkerProcess, psutil.Process]]:
    """Starts a worker; yields it with its process once it is ready."""
    with WorkerProcess(place) as worker:
        assert worker.do(FindGpus()) == ()
        yield worker, psutil.Process(worker.pid)


def descendants(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Returns those that have not ended after some time."""
    return psutil.wait_procs(processes, timeout=10)[1]


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the place of a backend."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "onnxruntime.py"
    path.write_text(SPAWNING)
    return path


@pytest.mark.skipif(missing("openvino") is not None, reason="OpenVINO is not installed")
def test_openvino_reports_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with started(Place("openvino", "cpu", 1)) as (_, process):
        assert descendants(process) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_worker_started_ends_with_it(backend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    with started(OTHER) as (_, process):
        found = [process, *descendants(process)]
        assert len(found) == 2
        assert (backend.parent / "__pycache__").is_dir()  # it compiles modules once for all
    assert alive(found) == []


def test_what_a_worker_started_ends_when_it_dies(backend: Path) -> None:
    with started(OTHER) as (worker, process):
        found = descendants(process)
        process.kill()
        with pytest.raises(WorkerDied, match="ended by signal 9") as died:
            worker.do(FindGpus())
        assert alive(found) == []
    assert "a line that is no answer" in died.value.details


def test_nothing_outlives_a_session_that_was_killed(backend: Path) -> None:
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
    assert alive(found) == []


@pytest.mark.parametrize(
    ("ending", "message"),
    [("sys.exit(3)", "ended with exit code 3"), ("os.abort()", "ended by signal 6")],
)
def test_how_a_worker_ended_is_reported(backend: Path, ending: str, message: str) -> None:
    backend.write_text(f"import os, sys\n{ending}")
    with WorkerProcess(OTHER) as worker, pytest.raises(WorkerDied, match=message):
        worker.do(FindGpus())


def test_a_measurement_that_the_system_killed_has_no_memory(
    backend: Path, tiny_manifest: Path
) -> None:
    backend.write_text("import os\nos.kill(os.getpid(), 9)")
    crew = Crew(Progress(lambda line: None))
    row = Row("documented", "inference", "float32", 32, 0)
    found = crew.do(OTHER, Measure(VARIANTS["documented"], row, tiny_manifest, 3, 1))
    assert (found.row, found.place, found.out_of_memory) == (row, OTHER, True)
    with pytest.raises(WorkerDied):
        crew.do(OTHER, FindGpus())
    crew.close()


def test_a_closed_crew_ends_its_processes(backend: Path) -> None:
    others = descendants(psutil.Process())
    crew = Crew(Progress(lambda line: None))
    crew.do(OTHER, FindGpus())
    found = [process for process in descendants(psutil.Process()) if process not in others]
    assert len(found) == 2
    crew.close()
    assert alive(found) == []
    with pytest.raises(RuntimeError, match="The session is over"):
        crew.do(OTHER, MeasurePeak("int8"))
