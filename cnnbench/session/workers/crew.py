"""The workers of a session: a pool at each place, and each job done once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from cnnbench.machine.place import Place
from cnnbench.session.progress import Progress
from cnnbench.session.workers.jobs import Job, R
from cnnbench.session.workers.pool import Finished, WorkerPool


class Crew:
    """Hands jobs to pools of workers, and knows what is done.

    Args:
        progress: shows what is planned and how it goes.
        finished: called with a job, its title and its result or error as soon as there is one.
        size: returns the number of workers at a place.
    """

    def __init__(
        self,
        progress: Progress,
        finished: Finished,
        size: Callable[[Place], int] = lambda place: 1,
    ) -> None:
        self._progress, self._finished, self._size = progress, finished, size
        self._pools: dict[Place, WorkerPool] = {}
        self._jobs: dict[tuple[Place, Job[Any]], Future[Any]] = {}
        self._expected: set[tuple[Place, Job[Any]]] = set()
        self._lock = threading.RLock()
        self._closed = False

    def warm_up(self, place: Place) -> None:
        """Starts a worker at a place where there is none, so that it imports its backend.

        May be called from any thread, and when everything is being closed.
        """
        with self._lock:
            if not self._closed and place not in self._pools:
                self._pool(place).warm_up()

    def expect(self, place: Place, job: Job[Any]) -> None:
        """Counts a job that will be submitted later among those that are to be done."""
        if job.is_recorded() and (place, job) not in self._expected:
            self._expected.add((place, job))
            self._progress.plan(1)

    def submit(self, place: Place, job: Job[R], after: Future[Any] | None = None) -> Future[R]:
        """Queues a job, unless it is queued or done already.

        Args:
            place: where it is done.
            job: what is done.
            after: what the job needs; it fails as that does.
        """
        if (place, job) not in self._jobs:
            self.expect(place, job)
            self._jobs[place, job] = self._pool(place).submit(job, after)
        return self._jobs[place, job]

    def do(self, place: Place, job: Job[R], after: Future[Any] | None = None) -> R:
        """Returns the result of a job, done now or ahead; the arguments are `submit`'s.

        Raises:
            JobError: if it failed.
        """
        return self._progress.wait(self.submit(place, job, after))

    def planned(self, place: Place, job: Job[R]) -> Future[R] | None:
        """Returns the future of a job that was submitted before."""
        return self._jobs.get((place, job))

    def settle(self) -> None:
        """Waits until every job is done, well or badly."""
        for future in list(self._jobs.values()):
            self._progress.settle(future)

    def rest(self, place: Place) -> None:
        """Ends the workers at a place; whoever needs one later gets a new one."""
        if place in self._pools:
            self._pools.pop(place).close()

    def close(self) -> None:
        """Ends every worker."""
        with self._lock:
            self._closed = True
            for pool in self._pools.values():
                pool.close()

    def _pool(self, place: Place) -> WorkerPool:
        with self._lock:
            if place not in self._pools:
                self._pools[place] = WorkerPool(
                    place, self._size(place), self._progress.tell, self._finished
                )
            return self._pools[place]
