"""A pool of equal worker processes that are kept warm and replaced when they die."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cnnbench.machine.place import Place
from cnnbench.session.workers.jobs import Job, R
from cnnbench.session.workers.process import WorkerDied, WorkerProcess

Finished = Callable[[Job[Any], str, object], None]


class WorkerPool:
    """Runs jobs in up to `size` worker processes; jobs start in the order of submission.

    A thread waits for each process, which costs nothing: the work is done over there.

    Args:
        place: of each worker.
        size: number of processes.
        progress: called from those threads with a job's title and what it reports.
        finished: called from those threads with a job, its title and its result or error, before
            whoever waits for the job is woken: what it keeps is kept when they go on.
    """

    def __init__(
        self,
        place: Place,
        size: int,
        progress: Callable[[str, dict[str, Any]], None] = lambda title, values: None,
        finished: Finished = lambda job, title, outcome: None,
    ) -> None:
        self.place = place
        self._progress, self._finished = progress, finished
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="cnnbench-worker")
        self._lock = threading.Lock()
        self._workers: dict[int, WorkerProcess] = {}  # by the thread that waits for it
        self._closed = False

    def warm_up(self) -> Future[WorkerProcess]:
        """Starts a process ahead, so that it imports the backend while data is read."""
        return self._executor.submit(self._worker)

    def submit(self, job: Job[R], after: Future[Any] | None = None) -> Future[R]:
        """Queues a job; the future raises `JobError` if it fails.

        Args:
            job: what is done.
            after: what the job needs; it fails as that does. Jobs start in the order of
                submission, so one that was submitted here before can be waited for.
        """
        return self._executor.submit(self._run, job, after)

    def close(self) -> None:
        """Ends every process and drops the jobs that wait."""
        with self._lock:
            self._closed = True
            workers = list(self._workers.values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()

    def _run(self, job: Job[R], after: Future[Any] | None) -> R:
        title = job.title(self.place)
        try:
            if after is not None:
                after.result()
            result = self._do(job, title)
        except BaseException as error:
            self._finished(job, title, error)
            raise
        self._finished(job, title, result)
        return result

    def _do(self, job: Job[R], title: str) -> R:
        worker = self._worker()
        try:
            return worker.do(job, lambda values: self._progress(title, values))
        except WorkerDied as error:
            with self._lock:
                if self._closed:
                    raise
                del self._workers[threading.get_ident()]
            worker.stop()
            # Linux kills with this signal when memory ends.
            result = job.when_killed(self.place) if error.signal == signal.SIGKILL else None
            if result is None:
                raise
            return result

    def _worker(self) -> WorkerProcess:
        thread = threading.get_ident()
        with self._lock:
            if self._closed:
                raise RuntimeError("The pool of workers is closed.")
            if thread not in self._workers:
                self._workers[thread] = WorkerProcess(self.place)
            return self._workers[thread]
