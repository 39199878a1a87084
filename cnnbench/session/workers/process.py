"""One worker process, seen from the session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cnnbench.machine.backends import worker_environment
from cnnbench.records.codec import Record, decode
from cnnbench.session.workers.jobs import Job, to_data

Result = Record | dict[str, Any]
Progress = Callable[[dict[str, Any]], None]


class JobError(RuntimeError):
    """A job failed; `details` holds the worker's traceback, or the end of its log.

    `reason` is the message without the job: other jobs may fail for the same one.
    """

    def __init__(self, message: str, details: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.details = details
        self.reason = reason or message


class WorkerDied(JobError):
    """The process ended in the middle of a job; another one can take its place.

    `exit_code` is what the process returned; `signal` is what ended it, if one did.
    """

    def __init__(
        self, message: str, details: str = "", reason: str = "", *, exit_code: int
    ) -> None:
        super().__init__(message, details, reason)
        self.exit_code = exit_code
        self.signal = -exit_code if exit_code < 0 else None


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker process is for; it can't be changed once the backend is imported."""

    backend: str
    device: str
    threads: int


class WorkerProcess:
    """Starts a worker and hands it one job after the other."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        # The log outlives a crash, which is when somebody wants to read it.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "cnnbench.session.workers.child"),
                *(spec.backend, spec.device, str(spec.threads)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=worker_environment(spec.backend, spec.device, spec.threads),
            text=True,
            process_group=0,  # whatever it starts ends with it
        )
        self._write({"sys_path": [os.getcwd(), *sys.path]})

    def do(self, job: Job, progress: Progress = lambda _: None) -> Result:
        """Does a job and waits for it.

        Raises:
            JobError: if the job failed; the worker can take the next one.
            WorkerDied: if the process ended.
        """
        self._write(to_data(job))
        while True:
            message = self._read(job)
            if message["event"] == "progress":
                progress(message["values"])
            elif message["event"] == "error":
                text = message["message"]
                # Bad input speaks for itself; anything else needs the traceback to be found.
                details = "" if message["is_bad_input"] else message["traceback"]
                raise JobError(f"{job.title()}: {text}", details, text)
            elif message["event"] == "result":
                return decode(message["record"]) if "record" in message else message["data"]

    def stop(self) -> None:
        """Ends the process and whatever it started, in the middle of a job too."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it is dead; reading its answer says so, with the log

    def _read(self, job: Job) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # what it started lives on
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            reason = f"the worker process ended {how} ({self.spec.backend} on {self.spec.device})"
            raise WorkerDied(f"{job.title()}: {reason}", self._log_tail(), reason, exit_code=code)
        message: dict[str, Any] = json.loads(line)
        return message

    def _log_tail(self, most: int = 4000) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - most))
        return self._log.read().decode(errors="replace")
