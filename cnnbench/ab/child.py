"""What a process of a pair does: build one side's model, then time steps when told to.

Speaks JSON lines on a Unix socket. One process measures one side of one pair and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from cnnbench.models.user_errors import blaming
from cnnbench.speed.timing import Step, time_steps


def serve(message: dict[str, Any], backend: str, threads: int) -> None:
    """Answers commands on the socket that `message` names, until `end` or nobody listens.

    Args:
        message: `socket` and `log` (paths), `root` and `sys_path` of a `sides.Folder`, for a
            revision its `working_copy`, and `cpu` as in `pin`.
        backend: Keras backend of this process.
        threads: of this process.
    """
    log = os.open(message["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # the template's commands are not this process' to read
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(message["socket"])
    lines = connection.makefile("r", encoding="utf-8")
    step: Step | None = None
    prepare(message, backend, threads)
    for line in lines:
        command = json.loads(line)
        try:
            if command["do"] == "end":
                return
            if command["do"] == "build":
                step = _build(command, message, threads)
                pin(message["cpu"], threads)  # not before: both sides build at the same time
                answer: dict[str, Any] = {}
            else:
                assert step is not None
                used = time.process_time()
                seconds = time_steps(step, command["steps"])
                answer = {"seconds": seconds, "cpu_seconds": time.process_time() - used}
        except Exception as error:  # whatever a model raises is the answer
            text = f"{type(error).__name__}: {error}"
            bad_input = isinstance(error, (ValueError, OSError))
            details = "" if bad_input else traceback.format_exc()
            answer = {"error": str(error) if bad_input else text, "details": details}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def prepare(message: dict[str, Any], backend: str, threads: int) -> None:
    """Sets folder, paths and threads before the backend's runtime starts."""
    from cnnbench.machine.devices import limit_threads

    sys.path[:] = message["sys_path"]
    os.chdir(message["root"])
    if backend == "jax":
        pin(message["cpu"], threads)  # the runtime starts as many threads as it may use CPUs
    limit_threads(backend, threads)


def pin(cpu: int, threads: int) -> None:
    """Keeps all threads of this process on as many CPUs, counted from the one of that number.

    Both sides of a pair get the same ones. Left to the system, each is likely to stay on a CPU of
    its own, and whatever else runs on one of them then slows one side for the whole pair: log
    ratios of -0.6 to 0.9 were seen of equal sides on a busy machine.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    cpus = sorted(os.sched_getaffinity(0))
    chosen = {cpus[(cpu + number) % len(cpus)] for number in range(threads)}
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(task), chosen)


def strays(working_copy: str) -> list[str]:
    """Returns the modules that come from the working copy and not from the revision."""
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in ("cnnbench", "__main__")
        and (path := getattr(module, "__file__", None))
        and is_own(path, working_copy)
    )


def is_own(path: str, working_copy: Path | str) -> bool:
    """Returns whether a path is the working copy's own; Python's environment may lie inside."""
    real = Path(path).resolve()
    prefixes = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return real.is_relative_to(working_copy) and not any(map(real.is_relative_to, prefixes))


def _build(command: dict[str, Any], setup: dict[str, Any], threads: int) -> Step:
    from cnnbench.machine.devices import gpus
    from cnnbench.machine.place import Place
    from cnnbench.models.variants import Variant
    from cnnbench.pictures.batches import Pictures, drawn_batch
    from cnnbench.pictures.data_set import Splits
    from cnnbench.records.codec import from_data
    from cnnbench.records.measurements import Row
    from cnnbench.speed.engines.engine import engine_for, host_step, program_for

    if command["device"] == "gpu" and not gpus(command["backend"]):
        raise ValueError(f"{command['backend']} sees no GPU. Received: device='gpu'")
    splits = Splits.open(Path(command["splits"]))
    variant, seed = from_data(Variant, command["variant"]), command["seed"]
    side = Pictures(splits.train_pictures(), splits.train.labels)
    batch = drawn_batch(side, command["batch_size"], seed)
    row = Row(variant.name, command["workload"], "float32", command["batch_size"], seed)
    engine = engine_for(Place(command["backend"], command["device"], threads))
    with blaming(variant.builder):
        program = program_for(engine, variant, row, splits)
        step = host_step(engine, program, batch)
        step()  # compiles it
    if setup.get("working_copy") and (found := strays(setup["working_copy"])):
        raise ValueError(
            "These modules come from the working copy and not from the revision; put the folder "
            "that they are in on PYTHONPATH, which is then looked for in the revision. "
            f"Received: modules={', '.join(found)}"
        )
    return step
