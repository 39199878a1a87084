"""A worker for a command that needs only one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cnnbench.machine.backends import require_backends
from cnnbench.machine.place import Place
from cnnbench.session.workers.process import WorkerProcess


@contextmanager
def one_worker(backend: str, device: str, threads: int) -> Iterator[WorkerProcess]:
    """Starts a worker, which keeps what libraries print for when something goes wrong."""
    require_backends((backend,))
    worker = WorkerProcess(Place(backend, device, threads))
    try:
        yield worker
    finally:
        worker.stop()
