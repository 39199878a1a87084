"""A pool of equal worker processes that are kept warm and replaced when they die."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from cnnbench.session.workers.jobs import Job
from cnnbench.session.workers.process import Result, WorkerDied, WorkerProcess, WorkerSpec

Progress = Callable[[Job, dict[str, Any]], None]
Finished = Callable[[Job, Result | BaseException], None]


class WorkerPool:
    """Runs jobs in up to `size` worker processes; jobs start in the order of submission.

    A thread waits for each process, which costs nothing: the work is done over there.

    Args:
        spec: what each worker is.
        size: number of processes.
        progress: called from those threads with what a job tells.
        finished: called from those threads with a job's result or error, before whoever
            waits for the job is woken: what it keeps is kept when they go on.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        size: int,
        progress: Progress = lambda job, values: None,
        finished: Finished = lambda job, outcome: None,
    ) -> None:
        self.spec = spec
        self._progress, self._finished = progress, finished
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="cnnbench-worker")
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._closed = False

    def warm_up(self, count: int) -> None:
        """Starts processes ahead, so that they import the backend while data is read."""
        for _ in range(count):
            self._give_back(self._start())

    def submit(self, job: Job, after: Future[Result] | None = None) -> Future[Result]:
        """Queues a job; the future raises `JobError` if it fails.

        Args:
            job: what is done.
            after: the job begins when this one has ended, well or badly. Jobs start in the order of
                submission, so one that was submitted here before can be waited for.
        """
        return self._executor.submit(self._run, job, after)

    def close(self) -> None:
        """Ends every process and drops the jobs that wait."""
        with self._lock:
            self._closed = True
            workers, self._all, self._idle = list(self._all), set(), []
        self._executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()

    def _run(self, job: Job, after: Future[Result] | None) -> Result:
        if after is not None:
            with suppress(CancelledError):
                after.exception()
        try:
            result = self._do(job)
        except BaseException as error:
            self._finished(job, error)
            raise
        self._finished(job, result)
        return result

    def _do(self, job: Job) -> Result:
        worker = self._take()
        try:
            result = worker.do(job, lambda values: self._progress(job, values))
        except WorkerDied:
            with self._lock:
                self._all.discard(worker)
            worker.stop()
            raise
        except BaseException:
            self._give_back(worker)
            raise
        self._give_back(worker)
        return result

    def _take(self) -> WorkerProcess:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self.spec)
        with self._lock:
            closed = self._closed
            if not closed:
                self._all.add(worker)
        if closed:
            worker.stop()
            raise RuntimeError("The pool of workers is closed.")
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
