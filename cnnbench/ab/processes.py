"""The processes of pairs, seen from the parent: templates, and children forked from them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import site
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cnnbench.ab.pairs import Taken
from cnnbench.ab.sides import Folder
from cnnbench.ab.template import PROTOCOL
from cnnbench.machine.backends import worker_environment
from cnnbench.machine.place import Place

CONNECT_SECONDS = 60.0


class SideFailed(RuntimeError):
    """A side could not be measured; `details` holds a traceback or the end of the log."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def template_variables(place: Place, harness: Path) -> dict[str, str]:
    """Returns the environment of a template."""
    variables = worker_environment(place)
    # NumPy's product would start threads at its import, and a fork must come from one thread.
    variables["OPENBLAS_NUM_THREADS"] = "1"
    if str(harness) not in site.getsitepackages():
        paths = [str(harness), os.environ.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return variables


class Template:
    """A process that has imported Keras and the backend, and forks children.

    Args:
        place: of its processes.
        harness: folder that cnnbench is imported from.
        scratch: folder for sockets and logs; its path must be short (100 characters).
    """

    def __init__(self, place: Place, harness: Path, scratch: Path) -> None:
        self.place = place
        self.can_fork: bool | None = None
        self._scratch = scratch
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # outlives a crash
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "cnnbench.ab.template",
                place.backend,
                place.device,
                str(place.threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=template_variables(place, harness),
            text=True,
            process_group=0,  # children end with it
        )

    def wait(self) -> None:
        """Waits until the imports are done."""
        if self.can_fork is None:
            ready = self._read()
            if ready["protocol"] != PROTOCOL:
                raise SideFailed(
                    "A side is a revision of cnnbench that the running one can't talk to. "
                    f"Expected protocol {PROTOCOL}. Received: protocol={ready['protocol']}"
                )
            self.can_fork = bool(ready["can_fork"])

    def fork(self, name: str, folder: Folder, cpu: int = 0) -> Child:
        """Starts a child and returns when it is connected.

        Args:
            name: of the side, for messages.
            folder: where the child stands.
            cpu: which CPU it is pinned to, where it must be.
        """
        self.wait()
        # Short and new: a path of a Unix socket has at most some hundred characters.
        directory = Path(tempfile.mkdtemp(dir=self._scratch))
        address, log = directory / "s", directory / "log"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen(1)
            message = {
                "do": "fork" if self.can_fork else "become",
                "socket": str(address),
                "log": str(log),
                "root": str(folder.root),
                "cpu": cpu,
                "sys_path": folder.sys_path(sys.path),
            }
            if folder.working_copy is not None:
                message["working_copy"] = str(folder.working_copy)
            pid = int(self.ask(message)["pid"])
            connection = self._accept(listener, name, log, pid)
        return Child(name, self, pid, connection, log)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends a command and returns the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it is dead; reading its answer says so, with the log
        return self._read()

    def exit_code(self, pid: int) -> int:
        """Waits for a child's end and returns its exit code, negative for a signal."""
        if pid == self._process.pid:
            return self._process.wait()
        return int(self.ask({"do": "reap", "pid": pid})["status"])

    def stop(self) -> None:
        """Ends the process and every child."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()

    def _accept(self, listener: socket.socket, name: str, log: Path, pid: int) -> socket.socket:
        listener.settimeout(CONNECT_SECONDS)
        try:
            connection, _ = listener.accept()
        except TimeoutError as error:
            raise SideFailed(
                f"{name}: a process did not start within {CONNECT_SECONDS:.0f} s", _tail(log)
            ) from error
        connection.settimeout(None)
        return connection

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            how = ended(self._process.wait())
            self._log.seek(0)
            text = self._log.read().decode(errors="replace")
            raise SideFailed(
                f"The process that imports {self.place.backend} for all others ended {how}",
                text[-4000:],
            )
        message: dict[str, Any] = json.loads(line)
        return message


class Child:
    """A process that measures one side of one pair."""

    def __init__(
        self, name: str, template: Template, pid: int, connection: socket.socket, log: Path
    ) -> None:
        self.name, self.pid = name, pid
        self._template, self._connection, self._log = template, connection, log
        self._lines = connection.makefile("r", encoding="utf-8")
        self._ended = False

    def send(self, message: dict[str, Any]) -> None:
        """Sends a command without waiting for the answer."""
        # If it is dead, reading its answer says so, with the log.
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def answer(self) -> dict[str, Any]:
        """Waits for the answer to the last command.

        Raises:
            SideFailed: if the child could not do it, or has ended.
        """
        try:
            line = self._lines.readline()
        except ConnectionError:  # it ended with a command unread
            line = ""
        if not line.endswith("\n"):
            how = ended(self._reap())
            raise SideFailed(f"{self.name}: the process ended {how}", _tail(self._log))
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise SideFailed(f"{self.name}: {message['error']}", message["details"])
        return message

    def time(self, steps: int) -> Taken:
        """Returns what a round of so many steps takes."""
        self.send({"do": "time", "steps": steps})
        answer = self.answer()
        return Taken(float(answer["seconds"]), float(answer["cpu_seconds"]))

    def end(self) -> None:
        """Ends the process, if it has not ended, and waits for it."""
        if self._ended:
            return
        self.send({"do": "end"})
        self._reap()

    def kill(self) -> None:
        """Ends the process in the middle of whatever it does, without waiting."""
        if not self._ended:
            self._ended = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._lines.close()
            self._connection.close()

    def _reap(self) -> int:
        self._ended = True
        self._lines.close()
        self._connection.close()
        return self._template.exit_code(self.pid)


def ended(code: int) -> str:
    """Returns how a process ended, in words."""
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _tail(log: Path, most: int = 4000) -> str:
    try:
        return log.read_text(errors="replace")[-most:]
    except OSError:
        return ""
