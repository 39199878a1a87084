"""The workers of a session: warm processes at each place, and each job done once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cnnbench.machine.backends import Place
from cnnbench.session.progress import Progress
from cnnbench.session.workers.jobs import Job, R
from cnnbench.session.workers.process import WorkerDied, WorkerProcess


class Crew:
    """Hands jobs to worker processes, and knows what is done.

    A thread waits for each process, which costs nothing: the work is done over there. Processes are
    kept warm, and replaced when they die. Jobs at a place start in the order of submission.

    `finished` is called from those threads with a job, its title and its result or error, before
    whoever waits for the job is woken: what it keeps is kept when they go on. `size` returns the
    number of workers at a place.
    """

    def __init__(
        self,
        progress: Progress,
        finished: Callable[[Job[Any], str, object], None] = lambda job, title, outcome: None,
        size: Callable[[Place], int] = lambda place: 1,
    ) -> None:
        self._progress, self._finished, self._size = progress, finished, size
        self._jobs: dict[tuple[Place, Job[Any]], Future[Any]] = {}
        self._expected: set[tuple[Place, Job[Any]]] = set()
        self._threads: dict[Place, ThreadPoolExecutor] = {}
        self._workers: dict[tuple[Place, int], WorkerProcess] = {}  # by the thread that waits
        self._lock = threading.RLock()
        self._is_closed = False

    def expect(self, place: Place, job: Job[Any]) -> None:
        """Counts a job that will be submitted later among those that are to be done."""
        if job.is_recorded() and (place, job) not in self._expected:
            self._expected.add((place, job))
            self._progress.plan(1)

    def submit(self, place: Place, job: Job[R], after: Future[Any] | None = None) -> Future[R]:
        """Queues a job, unless it is queued or done; it fails as what it needs to come `after`."""
        key = (place, job)
        if key not in self._jobs:
            self.expect(place, job)
            self._jobs[key] = self._executor(place).submit(self._run, place, job, after)
        return self._jobs[key]

    def do(self, place: Place, job: Job[R], after: Future[Any] | None = None) -> R:
        """Returns the result of a job, done now or ahead, or raises its `JobError`."""
        return self._progress.wait(self.submit(place, job, after))

    def planned(self, place: Place, job: Job[R]) -> Future[R] | None:
        return self._jobs.get((place, job))

    def settle(self) -> None:
        """Waits until every job is done, well or badly."""
        for future in list(self._jobs.values()):
            self._progress.settle(future)

    def rest(self, place: Place) -> None:
        """Ends the workers at a place; whoever needs one later gets a new one."""
        with self._lock:
            threads = self._threads.pop(place, None)
            ended = [self._workers.pop(key) for key in list(self._workers) if key[0] == place]
        if threads:
            threads.shutdown(wait=False, cancel_futures=True)
        for worker in ended:
            worker.stop()

    def close(self) -> None:
        """Ends every worker and drops the jobs that wait."""
        with self._lock:
            self._is_closed = True
        for place in list(self._threads):
            self.rest(place)

    def _executor(self, place: Place) -> ThreadPoolExecutor:
        with self._lock:
            if place not in self._threads:
                self._threads[place] = ThreadPoolExecutor(self._size(place), "cnnbench-worker")
            return self._threads[place]

    def _worker(self, place: Place) -> WorkerProcess:
        key = (place, threading.get_ident())
        with self._lock:
            if self._is_closed:
                raise RuntimeError("The session is over.")
            if key not in self._workers:
                self._workers[key] = WorkerProcess(place)
            return self._workers[key]

    def _run(self, place: Place, job: Job[R], after: Future[Any] | None) -> R:
        title = job.title(place)
        try:
            if after is not None:
                after.result()
            result = self._do(place, job, title)
        except BaseException as error:
            self._finished(job, title, error)
            raise
        self._finished(job, title, result)
        return result

    def _do(self, place: Place, job: Job[R], title: str) -> R:
        worker = self._worker(place)
        try:
            return worker.do(job, lambda values: self._progress.tell(title, values))
        except WorkerDied as died:
            with self._lock:
                # If it isn't there, it was ended on purpose.
                dead = self._workers.pop((place, threading.get_ident()), None)
            worker.stop()
            # Linux kills with this signal when memory ends.
            killed = dead is not None and died.signal == signal.SIGKILL
            result = job.when_killed(place) if killed else None
            if result is None:
                raise
            return result
