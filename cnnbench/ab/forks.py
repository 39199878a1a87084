"""Templates and the workers that are forked from them, seen from the parent."""

from __future__ import annotations

import json
import os
import site
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from cnnbench.ab.sides import Folder
from cnnbench.ab.template import PROTOCOL
from cnnbench.machine.backends import Place, worker_environment
from cnnbench.session.workers.process import (
    LineProcess,
    Started,
    WorkerProcess,
    start_python,
)


class Template(LineProcess):
    """A process that has imported Keras and the backend, and forks workers.

    Args:
        place: of its workers.
        harness: folder that cnnbench is imported from.
    """

    def __init__(self, place: Place, harness: Path) -> None:
        self.can_fork: bool | None = None
        self._harness = harness
        super().__init__(place, partial(self._start, ()))

    def ready(self) -> None:
        """Waits until the imports are done."""
        if self.can_fork is None:
            told = self.ask()
            if told["protocol"] != PROTOCOL:
                raise ValueError(
                    "A side is a revision of cnnbench that the running one can't talk to. "
                    f"Expected protocol {PROTOCOL}. Received: protocol={told['protocol']}"
                )
            self.can_fork = told["can_fork"]

    def worker(self, folder: Folder, cpus: Sequence[int] = ()) -> WorkerProcess:
        """Starts a worker in a folder; JAX stays on the CPUs from the start."""
        self.ready()
        setup = {
            "folder": str(folder.root),
            "sys_path": folder.sys_path(sys.path),
            "cpus": cpus,
        }
        if self.can_fork:
            return WorkerProcess(self.place, partial(self._fork, setup))
        return WorkerProcess(self.place, partial(self._start, (json.dumps(setup),)))

    def _start(self, words: Sequence[str], log: IO[bytes]) -> Started:
        place = self.place
        environment = worker_environment(place)
        # NumPy's product would start threads at its import, and a fork must come from one thread.
        environment["OPENBLAS_NUM_THREADS"] = "1"
        if str(self._harness) not in site.getsitepackages():
            paths = [str(self._harness), os.environ.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        module = ("-P", "-m", "cnnbench.ab.template")
        arguments = [*module, place.backend, place.device, str(place.threads), *words]
        return start_python(arguments, environment, log)

    def _fork(self, setup: dict[str, Any], log: IO[bytes]) -> Started:
        their_input, our_input = os.pipe()
        our_output, their_output = os.pipe()
        worker = Fork(self, os.fdopen(our_input, "w"), os.fdopen(our_output))
        try:
            # Linux lets another process of the user open them there; it forks on Linux only.
            proc = f"/proc/{os.getpid()}/fd"
            files = [f"{proc}/{file}" for file in (their_input, their_output, log.fileno())]
            worker.pid = self.ask({"files": files, "setup": setup})["pid"]
        finally:
            os.close(their_input)
            os.close(their_output)
        return worker

    def ask(self, message: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sends a message, if there is one, and returns the answer."""
        if message is not None:
            self.send(message)
        return self.read("importing Keras")


@dataclass
class Fork:
    """A forked worker; only its template, the parent, can say how it ended."""

    template: Template
    stdin: IO[str] | None
    stdout: IO[str] | None
    pid: int = 0
    returncode: int | None = None

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self.template.ask({"reap": self.pid})["exit_code"])
        return self.returncode
