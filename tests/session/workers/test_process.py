"""Real worker processes: the same everywhere, replaced when they die, and gone when they end."""

import os
import subprocess
import sys
from dataclasses import replace
from signal import SIGKILL

import psutil
import pytest

from cnnbench.machine.backends import Place, missing
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.records.records import Row
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus, Measure, MeasurePeak, Train
from cnnbench.session.workers.process import JobError, WorkerDied, WorkerProcess
from cnnbench.training.protocols import Protocol

PLACE, OTHER = Place("tensorflow", "cpu", 1), Place("onnxruntime", "cpu", 1)
SHORT = Protocol("one-pass", epochs=1)
# Random in training, with weights that are not trained, with random layers before the rest.
SMALL = Variant("small", blocks=(8,), dense_units=8)
RANDOM = replace(SMALL, batch_normalization=True, dropout=0.5, augmentation=True)

# Stands for a backend, or for a user's model, that prints and starts a process of its own.
SPAWNING = """
import subprocess, sys
print("a line that is no answer", flush=True)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
"""
DYING_ONCE = """
import os
if not os.path.exists("died"):
    open("died", "w").close()
    os.kill(os.getpid(), 9)
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
def crew():
    crew = Crew(Progress(lambda line: None))
    yield crew
    crew.close()


@pytest.mark.parametrize(
    "variants", [(RANDOM,), pytest.param(tuple(VARIANTS.values()), marks=pytest.mark.slow)]
)
def test_the_replacement_of_a_dead_worker_trains_to_the_same_bits(
    crew, variants, tiny_manifest, tmp_path
):
    def trained(variant, file):
        return crew.submit(PLACE, Train(variant, tiny_manifest, 0, SHORT, tmp_path / file))

    first = [trained(variant, "first.npz") for variant in variants]
    dying = trained(variant_named("faults:crashing"), "none.npz")
    trained(SMALL, "none.npz")
    second = [trained(variant, "second.npz") for variant in reversed(variants)]
    for one, other in zip(first, reversed(second), strict=True):
        assert one.result().weights_sha256 == other.result().weights_sha256
        assert one.result().val_probabilities == other.result().val_probabilities
    with pytest.raises(WorkerDied, match=r"faults:crashing seed 0: .* ended by signal 9 ") as died:
        dying.result()
    assert died.value.signal == SIGKILL


def test_a_job_that_fails_costs_no_worker(crew, tiny_manifest):
    with pytest.raises(JobError, match="this model can't be made") as raised:
        crew.do(PLACE, Train(variant_named("faults:raises"), tiny_manifest, 0, SHORT))
    assert raised.value.details == ""
    odd = replace(VARIANTS["documented"], blocks=("many",))
    with pytest.raises(JobError, match=r"^training documented seed 0: ") as raised:
        crew.do(PLACE, Train(odd, tiny_manifest, 0, SHORT))
    assert str(raised.value).endswith(raised.value.reason)
    assert raised.value.details.startswith("Traceback")
    assert not isinstance(raised.value, WorkerDied)
    assert crew.do(PLACE, FindGpus()) == ()


# Without a backend that takes seconds to import


def descendants(process):
    return process.children(recursive=True)


def alive(processes):
    """Returns those that have not ended after some time."""
    return psutil.wait_procs(processes, timeout=10)[1]


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A module in the place of a backend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = tmp_path / "onnxruntime.py"
    path.write_text(SPAWNING)
    return path


@pytest.mark.skipif(missing("openvino") is not None, reason="OpenVINO is not installed")
def test_openvino_reports_to_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with WorkerProcess(Place("openvino", "cpu", 1)) as worker:
        assert worker.do(FindGpus()) == ()
        assert descendants(psutil.Process(worker.pid)) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_worker_started_ends_when_it_dies(backend):
    with WorkerProcess(OTHER) as worker:
        assert worker.do(FindGpus()) == ()
        process = psutil.Process(worker.pid)
        found = descendants(process)
        process.kill()
        with pytest.raises(WorkerDied, match="ended by signal 9") as died:
            worker.do(FindGpus())
        assert len(found) == 1
        assert alive(found) == []
    assert "a line that is no answer" in died.value.details
    assert (backend.parent / "__pycache__").is_dir()  # modules are compiled once for all workers


def test_nothing_outlives_a_session_that_was_killed(backend):
    with subprocess.Popen(
        [sys.executable, "-c", SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as session:
        assert session.stdout.readline() == b"ready\n"
        found = descendants(psutil.Process(session.pid))
        assert len(found) == 2
        session.kill()
    assert alive(found) == []


def test_how_a_worker_ended_is_reported(backend):
    backend.write_text("raise SystemExit(3)")
    with WorkerProcess(OTHER) as worker, pytest.raises(WorkerDied, match="ended with exit code 3"):
        worker.do(FindGpus())


def test_a_killed_measurement_lacks_memory_and_a_closed_crew_ends_its_processes(
    backend, tiny_manifest
):
    backend.write_text(DYING_ONCE + SPAWNING)
    others, crew = descendants(psutil.Process()), Crew(Progress(lambda line: None))
    row = Row("documented", "inference", "float32", 32, 0)
    measured = crew.do(OTHER, Measure(VARIANTS["documented"], row, tiny_manifest, 3, 1))
    assert (measured.row, measured.place, measured.out_of_memory) == (row, OTHER, True)
    assert crew.do(OTHER, FindGpus()) == ()
    found = [process for process in descendants(psutil.Process()) if process not in others]
    assert len(found) == 2
    crew.close()
    assert alive(found) == []
    with pytest.raises(RuntimeError, match="The session is over"):
        crew.do(OTHER, MeasurePeak("int8"))
