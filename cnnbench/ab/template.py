"""The template: `python -m cnnbench.ab.template BACKEND DEVICE THREADS [SETUP]`.

Imports what costs seconds once and starts no runtime, so that each worker is a fork of it: fresh
where it matters (threads, kernels, memory of the runtime, the model) in a fraction of the time.
With a SETUP it becomes a worker itself, where a fork is not safe.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from cnnbench.machine.backends import Place, switch_off_telemetry

PROTOCOL = 3  # of messages and job; a revision of cnnbench with another one can't be a side
TASKS = Path("/proc/self/task")


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
            answer = {"pid": _fork(place, message["setup"], message["files"])}
        print(json.dumps(answer), file=answers, flush=True)


def can_fork(tasks: Path = TASKS) -> bool:
    """Returns whether a fork of this process is whole: it has one thread, and that can be seen.

    A fork has only the thread that called it; locks that others held stay locked for ever.
    """
    return hasattr(os, "fork") and tasks.is_dir() and len(os.listdir(tasks)) == 1


def _fork(place: Place, setup: dict[str, Any], paths: list[str]) -> int:
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
    from cnnbench.session.workers.child import serve

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
