"""The workers of a session: a pool for each kind, and each job exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from cnnbench.session.progress import Progress
from cnnbench.session.workers.jobs import Job
from cnnbench.session.workers.pool import WorkerPool
from cnnbench.session.workers.process import Result, WorkerSpec


class Crew:
    """Hands jobs to pools of workers.

    Args:
        progress: is told what is planned and how it goes.
        finished: called with a job's result or error as soon as there is one.
    """

    def __init__(
        self, progress: Progress, finished: Callable[[Job, Result | BaseException], None]
    ) -> None:
        self._progress, self._finished = progress, finished
        self._pools: dict[WorkerSpec, WorkerPool] = {}
        self._jobs: dict[tuple[WorkerSpec, Job], Future[Result]] = {}
        self._lock = threading.RLock()
        self._closed = False

    def pool(self, spec: WorkerSpec, size: int = 1) -> WorkerPool:
        """Returns the pool of a kind of worker; `size` counts when it is asked for first."""
        with self._lock:
            if spec not in self._pools:
                self._pools[spec] = WorkerPool(
                    spec,
                    size,
                    lambda job, values: self._progress.tell(job.title(), values),
                    self._finished,
                )
            return self._pools[spec]

    def warm_up(self, spec: WorkerSpec) -> None:
        """Starts a worker of a kind that there is none of, so that it imports its backend.

        May be called from any thread, and when everything is being closed.
        """
        with self._lock:
            if not self._closed and spec not in self._pools:
                self.pool(spec).warm_up(1)

    def submit(
        self,
        spec: WorkerSpec,
        job: Job,
        size: int = 1,
        after: Future[Result] | None = None,
    ) -> Future[Result]:
        """Queues a job, if it is not queued or done already; it begins when `after` has ended."""
        if (spec, job) not in self._jobs:
            self._progress.plan(1)
            self._jobs[spec, job] = self.pool(spec, size).submit(job, after)
        return self._jobs[spec, job]

    def planned(self, spec: WorkerSpec, job: Job) -> Future[Result] | None:
        """Returns the future of a job that was queued before."""
        return self._jobs.get((spec, job))

    def settle(self) -> None:
        """Waits until every job is done, well or badly."""
        for future in list(self._jobs.values()):
            self._progress.settle(future)

    def rest(self, spec: WorkerSpec) -> None:
        """Ends the workers of a kind; whoever needs one later gets a new one."""
        if spec in self._pools:
            self._pools.pop(spec).close()

    def close(self) -> None:
        """Ends every worker."""
        with self._lock:
            self._closed = True
            for pool in self._pools.values():
                pool.close()
