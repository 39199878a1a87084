"""Worker processes: the session's side, and `serve`, the side of the process.

It reads jobs from standard input and writes answers to what was standard output, one line of JSON
each. Everything that a library prints goes to standard error instead.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, astuple
from queue import SimpleQueue
from typing import IO, Any, Protocol, Self

from cnnbench.machine import backends
from cnnbench.machine.backends import TRAINING_BACKENDS, Place, limit_threads
from cnnbench.models.user_errors import BadModel, plain
from cnnbench.records.journal import from_data
from cnnbench.session.workers.jobs import Job, R, Report, run

LOG_END = 4000  # characters of a log that are shown


class JobError(RuntimeError):
    """A job failed, for a `reason` that others may share; `details`: a traceback or a log's end."""

    def __init__(self, title: str, reason: str, details: str = "") -> None:
        super().__init__(f"{title}: {reason}")
        self.reason, self.details = reason, details


class WorkerDied(JobError):
    """The process ended instead of answering, by a `signal` or not; another takes its place."""

    def __init__(self, title: str, place: Place, exit_code: int, log: str) -> None:
        self.signal = -exit_code if exit_code < 0 else None
        how = f"by signal {self.signal}" if self.signal else f"with exit code {exit_code}"
        super().__init__(title, f"the worker process ended {how} ({place})", log)


class Started(Protocol):
    """A part of `Popen`: what is needed of a process that was started."""

    pid: int
    stdin: IO[str] | None
    stdout: IO[str] | None

    returncode: Any  # None until it ended

    def wait(self) -> int: ...


def start_python(arguments: list[str], environment: Mapping[str, str], log: IO[bytes]) -> Started:
    """Starts Python with pipes to and from it, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        text=True,
        process_group=0,
    )


class LineProcess:
    """A process that takes and answers lines of JSON; whatever it starts ends with it.

    `start` starts it as the leader of a process group, with a log that outlives a crash.
    """

    def __init__(self, place: Place, start: Callable[[IO[bytes]], Started]) -> None:
        self.place = place
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = start(self._log)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def send(self, message: dict[str, Any]) -> None:
        """Sends a line. If the process has ended, `read` reports it, with the log."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(json.dumps(message, default=os.fspath) + "\n")
            self._process.stdin.flush()

    def read(self, title: str) -> dict[str, Any]:
        """Waits for a line; `WorkerDied` says what the process was at if there is none to come."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # what it started lives on
            self._log.seek(0)
            log = self._log.read().decode(errors="replace")[-LOG_END:]
            raise WorkerDied(title, self.place, code, log)
        message: dict[str, Any] = json.loads(line)
        return message

    def stop(self) -> None:
        """Ends the process and whatever it started, in the middle of a job too."""
        if self._process.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()


class WorkerProcess(LineProcess):
    """A process that does one job after the other; `start` starts it if not as a new Python."""

    def __init__(self, place: Place, start: Callable[[IO[bytes]], Started] | None = None) -> None:
        super().__init__(place, start or self._start)
        if start is None:
            self.send({"sys_path": [os.getcwd(), *sys.path]})

    def _start(self, log: IO[bytes]) -> Started:
        words = map(str, astuple(self.place))
        module = ["-m", "cnnbench.session.workers.process"]
        return start_python([*module, *words], backends.worker_environment(self.place), log)

    def do(self, job: Job[R], report: Report = lambda values: None) -> R:
        """Does a job; after a `JobError` that is not `WorkerDied` it can do the next one."""
        self.begin(job)
        return self.finish(job, report)

    def begin(self, job: Job[R]) -> None:
        """Begins a job; the only thing to do next is to `finish` it."""
        self.send({"job": type(job).__name__, "fields": asdict(job)})

    def finish(self, job: Job[R], report: Report = lambda values: None) -> R:
        title = job.title(self.place)
        while True:
            message = self.read(title)
            if "error" in message:
                raise JobError(title, message["error"], message["details"])
            if "result" in message:
                result: R = from_data(job.result(), message["result"])
                return result
            report(message["progress"])


def serve(place: Place) -> None:
    """Does jobs until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    limit_threads(place.backend, place.threads)
    # The import that costs seconds is done while the parent still prepares data.
    importlib.import_module("keras" if place.backend in TRAINING_BACKENDS else place.backend)
    while True:
        _do(json.loads(lines.get()), place, answers)


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    # The parent is gone, or has closed the pipe: nobody waits for an answer.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # whatever was started here, too
    os._exit(0)


def _do(message: dict[str, Any], place: Place, out: IO[str]) -> None:
    kinds = {kind.__name__: kind for kind in Job.__subclasses__()}
    try:
        job = from_data(kinds[message["job"]], message["fields"])
        result = run(job, place, lambda values: _send(out, {"progress": values}))
    except Exception as error:  # whatever a job raises is its answer, and the worker lives on
        kind = "" if isinstance(error, BadModel) else f"{type(error).__name__}: "
        # Bad input speaks for itself; anything else needs the traceback to be found.
        bad_input = isinstance(error, (ValueError, OSError))
        details = "" if bad_input else plain(traceback.format_exc())
        _send(out, {"error": plain(f"{kind}{error}"), "details": details})
    else:
        _send(out, {"result": result})


def _send(out: IO[str], message: dict[str, Any]) -> None:
    out.write(json.dumps(message, default=asdict) + "\n")
    out.flush()


if __name__ == "__main__":
    backend, device, threads = sys.argv[1:]
    setup = json.loads(sys.stdin.readline())
    sys.path[:] = dict.fromkeys([*sys.path, *setup["sys_path"]])
    backends.switch_off_telemetry()
    serve(Place(backend, device, int(threads)))
