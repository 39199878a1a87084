"""The worker process: `python -m cnnbench.session.workers.child BACKEND DEVICE THREADS`.

Reads jobs from standard input and writes answers to what was standard output, one line of JSON
each. Everything that a library prints goes to standard error instead.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict
from queue import SimpleQueue
from typing import IO, Any

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, switch_off_telemetry
from cnnbench.machine.devices import limit_threads
from cnnbench.models.user_errors import BadModel, plain
from cnnbench.records.journal import from_data
from cnnbench.session.workers.jobs import Job, run


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
    switch_off_telemetry()
    serve(Place(backend, device, int(threads)))
