"""The worker process: `python -m cnnbench.session.workers.child BACKEND DEVICE THREADS`.

Reads jobs from standard input and writes answers to what was standard output, one
line of JSON each. Everything that a library prints goes to standard error instead.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import IO, Any

from cnnbench.machine.place import Place
from cnnbench.models.user_errors import BadModel, plain
from cnnbench.records.codec import encode
from cnnbench.session.workers.jobs import from_data


def main(backend: str, device: str, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    setup = json.loads(lines.get())
    sys.path[:] = list(dict.fromkeys([*sys.path, *setup["sys_path"]]))

    from cnnbench.machine.backends import TRAINING_BACKENDS, switch_off_telemetry
    from cnnbench.machine.devices import limit_threads

    switch_off_telemetry()
    limit_threads(backend, threads)
    if backend in TRAINING_BACKENDS:
        import keras  # the import that costs seconds; done while the parent still prepares data

        assert keras.backend.backend() == backend
    else:
        importlib.import_module(backend)
    _send(answers, {"event": "ready"})
    place = Place(backend, device, threads)
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
    from cnnbench.session.workers.work import run

    def progress(values: dict[str, Any]) -> None:
        _send(out, {"event": "progress", "values": values})

    try:
        result = run(from_data(message), place, progress)
    except Exception as error:  # whatever a job raises is its answer, and the worker lives on
        kind = "" if isinstance(error, BadModel) else f"{type(error).__name__}: "
        _send(
            out,
            {
                "event": "error",
                "message": plain(f"{kind}{error}"),
                "traceback": plain(traceback.format_exc()),
                "is_bad_input": isinstance(error, (ValueError, OSError)),
            },
        )
        return
    if isinstance(result, dict):
        _send(out, {"event": "result", "data": result})
    else:
        _send(out, {"event": "result", "record": encode(result)})


def _send(out: IO[str], message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
