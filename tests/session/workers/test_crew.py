"""Order of jobs and start of workers, with workers that are no processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from threading import Event
from typing import Any

import pytest

from cnnbench.session.progress import Progress
from cnnbench.session.workers import pool as pools
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus, MeasurePeak
from cnnbench.session.workers.process import WorkerSpec

SPEC = WorkerSpec("tensorflow", "cpu", 1)
OTHER = WorkerSpec("tensorflow", "cpu", 2)
FIRST = MeasurePeak("tensorflow", "cpu", "float32")
SECOND = MeasurePeak("tensorflow", "cpu", "bfloat16")


class Worker:
    """Keeps what it was asked to do; the first job ends when it is let go."""

    started: list[WorkerSpec]
    done: list[Any]
    go: Event

    def __init__(self, spec: WorkerSpec) -> None:
        self.started.append(spec)

    def do(self, job: Any, progress: Any) -> dict[str, Any]:
        if job == FIRST:
            self.go.wait(10)
        self.done.append(job)
        return {}

    def stop(self) -> None:
        pass


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    Worker.started, Worker.done, Worker.go = [], [], Event()
    monkeypatch.setattr(pools, "WorkerProcess", Worker)
    made = Crew(Progress(lambda line: None), lambda job, outcome: None)
    yield made
    Worker.go.set()
    made.close()


def test_a_job_begins_when_the_one_that_it_needs_has_ended(crew: Crew) -> None:
    first = crew.submit(SPEC, FIRST, 2)
    second = crew.submit(SPEC, SECOND, 2, after=first)
    # A job without a need overtakes it: the worker for it is there.
    crew.submit(OTHER, FindGpus()).result(10)
    assert not second.done()
    Worker.go.set()
    second.result(10)
    assert Worker.done == [FindGpus(), FIRST, SECOND]


def test_a_job_begins_also_when_the_other_was_cancelled(crew: Crew) -> None:
    cancelled: Future[Any] = Future()
    cancelled.cancel()
    assert crew.submit(SPEC, SECOND, after=cancelled).result(10) == {}


def test_a_job_is_done_once(crew: Crew) -> None:
    assert crew.planned(SPEC, SECOND) is None
    one = crew.submit(SPEC, SECOND)
    assert crew.submit(SPEC, SECOND) is one is crew.planned(SPEC, SECOND)


def test_a_worker_that_was_warmed_up_does_the_job(crew: Crew) -> None:
    crew.warm_up(SPEC)
    crew.warm_up(SPEC)
    crew.submit(SPEC, SECOND).result(10)
    assert Worker.started == [SPEC]


def test_nothing_is_warmed_up_while_all_is_closed(crew: Crew) -> None:
    crew.close()
    crew.warm_up(SPEC)
    assert Worker.started == []
