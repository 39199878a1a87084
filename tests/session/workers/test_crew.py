"""Order of jobs and start of workers, with workers that are no processes."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from cnnbench.machine.backends import Place
from cnnbench.session.progress import Progress
from cnnbench.session.workers import crew as crews
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus, MeasurePeak
from cnnbench.session.workers.process import JobError

PLACE = Place("tensorflow", "cpu", 1)
OTHER = Place("tensorflow", "cpu", 2)
FIRST = MeasurePeak("float32")
SECOND = MeasurePeak("bfloat16")
BROKEN = MeasurePeak("int8")


class Worker:
    """Keeps what it was asked to do; the first job ends when it is let go."""

    done: list[Any]
    go: Event

    def __init__(self, place: Place) -> None: ...

    def do(self, job: Any, progress: Any) -> str:
        if job == FIRST:
            self.go.wait(10)
        self.done.append(job)
        if job == BROKEN:
            raise JobError("a job", "broken")
        return "done"

    def stop(self) -> None:
        pass


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    Worker.done, Worker.go = [], Event()
    monkeypatch.setattr(crews, "WorkerProcess", Worker)
    made = Crew(
        Progress(lambda line: None), lambda job, title, outcome: None, {PLACE: 2, OTHER: 1}.get
    )
    yield made
    Worker.go.set()
    made.close()


def test_a_job_begins_when_the_one_that_it_needs_has_ended(crew: Crew) -> None:
    first = crew.submit(PLACE, FIRST)
    second = crew.submit(PLACE, SECOND, after=first)
    # A job without a need overtakes it: the worker for it is there.
    crew.submit(OTHER, FindGpus()).result(10)
    assert not second.done()
    Worker.go.set()
    second.result(10)
    assert Worker.done == [FindGpus(), FIRST, SECOND]


def test_a_job_fails_as_the_one_that_it_needs(crew: Crew) -> None:
    broken = crew.submit(PLACE, BROKEN)
    with pytest.raises(JobError, match="broken"):
        crew.do(PLACE, SECOND, after=broken)
    assert Worker.done == [BROKEN]


def test_a_job_is_done_once(crew: Crew) -> None:
    assert crew.planned(PLACE, SECOND) is None
    one = crew.submit(PLACE, SECOND)
    assert crew.submit(PLACE, SECOND) is one is crew.planned(PLACE, SECOND)
