"""The template: `python -m cnnbench.ab.template BACKEND DEVICE THREADS`.

Imports what costs seconds once and starts no runtime, so that each process of a pair is a
fork of it, fresh where it matters (threads, kernels, memory of the runtime, the model) in a
fraction of the time. Reads commands from standard input and answers on what was standard
output, one line of JSON each. Where a fork is not safe it becomes the process itself.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

PROTOCOL = 2  # of the messages; a revision of cnnbench with another one can't be a side
TASKS = Path("/proc/self/task")


def main(backend: str, device: str, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    from cnnbench.machine.backends import switch_off_telemetry

    switch_off_telemetry()
    import keras  # the import that costs seconds

    from cnnbench.ab.child import serve

    assert keras.backend.backend() == backend
    answer({"protocol": PROTOCOL, "can_fork": can_fork()})
    while line := sys.stdin.readline():
        message = json.loads(line)
        if message["do"] == "reap":
            answer({"status": os.waitstatus_to_exitcode(os.waitpid(message["pid"], 0)[1])})
        elif message["do"] == "become":
            answer({"pid": os.getpid()})
            serve(message, backend, threads)
            return
        else:
            pid = os.fork()
            if pid == 0:
                _serve_and_exit(message, backend, threads)
            answer({"pid": pid})


def can_fork(tasks: Path = TASKS) -> bool:
    """Returns whether a fork of this process is whole: it has one thread, and that can be seen.

    A fork has only the thread that called it; locks that others held stay locked for ever.
    """
    return hasattr(os, "fork") and tasks.is_dir() and len(os.listdir(tasks)) == 1


def _serve_and_exit(message: dict[str, Any], backend: str, threads: int) -> None:
    from cnnbench.ab.child import serve

    code = 1
    try:
        serve(message, backend, threads)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing of the template's is to be flushed or torn down twice


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
