"""The template: `python -m cnnbench.ab.template BACKEND DEVICE THREADS [SETUP]`.

Imports what costs seconds once and starts no runtime, so that each worker is a fork of it: fresh
where it matters (threads, kernels, memory of the runtime, the model) in a fraction of the time.
With a SETUP it becomes a worker itself, where a fork is not safe.
"""

from __future__ import annotations

import json
import os
import site
import sys
import traceback
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from cnnbench.ab.sides import Folder
from cnnbench.machine.backends import Place, switch_off_telemetry, worker_environment
from cnnbench.session.workers import process
from cnnbench.session.workers.process import WorkerProcess

PROTOCOL = 4  # of messages and job; a revision of cnnbench with another one can't be a side


class Template(process.LineProcess):
    """A template and its workers, seen from the parent; `harness` is where cnnbench is imported."""

    can_fork = False

    def __init__(self, place: Place, harness: Path) -> None:
        self._harness = harness
        super().__init__(place, partial(self._start, ()))

    def ready(self) -> None:
        """Waits until the imports are done."""
        answer = self.read("importing Keras")
        if answer["protocol"] != PROTOCOL:
            raise ValueError(
                "A side is a revision of cnnbench that the running one can't talk to. "
                f"Expected protocol {PROTOCOL}. Received: protocol={answer['protocol']}"
            )
        self.can_fork = answer["can_fork"]

    def worker(self, folder: Folder, cpus: Sequence[int] = ()) -> WorkerProcess:
        """Starts a worker in a folder; JAX stays on the CPUs from the start."""
        paths = folder.sys_path(sys.path)
        setup = {"folder": str(folder.root), "sys_path": paths, "cpus": cpus}
        if self.can_fork:
            return WorkerProcess(self.place, partial(self._fork, setup))
        return WorkerProcess(self.place, partial(self._start, (json.dumps(setup),)))

    def _start(self, words: Sequence[str], log: IO[bytes]) -> process.Started:
        environment = worker_environment(self.place)
        # NumPy's product would start threads at its import, and a fork must come from one thread.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        if str(self._harness) not in site.getsitepackages():
            paths = [str(self._harness), os.environ.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        arguments = ["-P", "-m", "cnnbench.ab.template", *map(str, astuple(self.place)), *words]
        return process.start_python(arguments, environment, log)

    def _fork(self, setup: dict[str, Any], log: IO[bytes]) -> process.Started:
        their_input, our_input = os.pipe()
        our_output, their_output = os.pipe()
        worker = Fork(self, os.fdopen(our_input, "w"), os.fdopen(our_output))
        try:
            # Linux lets another process of the user open them there; it forks on Linux only.
            theirs = (their_input, their_output, log.fileno())
            files = [f"/proc/{os.getpid()}/fd/{file}" for file in theirs]
            self.send({"files": files, "setup": setup})
            worker.pid = self.read("starting a worker")["pid"]
        finally:
            os.close(their_input)
            os.close(their_output)
        return worker


@dataclass
class Fork:
    """A forked worker; only its template, the parent, can say how it ended."""

    template: Template
    stdin: IO[str] | None
    stdout: IO[str] | None
    pid: int = 0
    returncode: int | None = None

    def wait(self) -> int:
        self.template.send({"reap": self.pid})
        self.returncode = int(self.template.read("ending a worker")["exit_code"])
        return self.returncode


# What follows is the template's own


def main(place: Place) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    import keras  # the import that costs seconds

    assert keras.backend.backend() == place.backend
    answer: dict[str, Any] = {"protocol": PROTOCOL, "can_fork": can_fork()}
    print(json.dumps(answer), file=answers, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "reap" in message:
            _, status = os.waitpid(message["reap"], 0)
            answer = {"exit_code": os.waitstatus_to_exitcode(status)}
        else:
            answer = {"pid": _forked(place, message["setup"], message["files"])}
        print(json.dumps(answer), file=answers, flush=True)


def can_fork(tasks: Path = Path("/proc/self/task")) -> bool:
    """Returns whether a fork of this process is whole: it has one thread, and that can be seen.

    A fork has only the thread that called it; locks that others held stay locked for ever.
    """
    return hasattr(os, "fork") and tasks.is_dir() and len(os.listdir(tasks)) == 1


def _forked(place: Place, setup: dict[str, Any], paths: list[str]) -> int:
    """Forks a worker with these files as standard input, output and error; returns its id."""
    modes = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_APPEND)
    files = [os.open(path, mode) for path, mode in zip(paths, modes, strict=True)]
    pid = os.fork()
    if pid == 0:
        try:
            for standard, file in enumerate(files):
                os.dup2(file, standard)
                os.close(file)
            become_worker(place, setup)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # nothing of the template's is to be flushed or torn down twice
    os.setpgid(pid, pid)  # whatever it starts ends with it
    for file in files:
        os.close(file)
    return pid


def become_worker(place: Place, setup: dict[str, Any]) -> None:
    """Does jobs in the folder, with the modules and, from the start in JAX, on the CPUs given."""
    from cnnbench.ab.steps import pin
    from cnnbench.session.workers.process import serve

    sys.path[:] = setup["sys_path"]
    os.chdir(setup["folder"])
    if place.backend == "jax":
        pin(setup["cpus"])  # the runtime starts as many threads as it may use CPUs
    serve(place)


if __name__ == "__main__":
    backend, device, threads, *setups = sys.argv[1:]
    switch_off_telemetry()
    if setups:
        become_worker(Place(backend, device, int(threads)), json.loads(setups[0]))
    main(Place(backend, device, int(threads)))
