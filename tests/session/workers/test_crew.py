"""Order of jobs, with workers that are no processes."""

from pathlib import Path
from threading import Event

import pytest

from cnnbench.machine.backends import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.records.records import Row
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus, Measure, MeasurePeak
from cnnbench.session.workers.process import JobError, WorkerDied

PLACE, OTHER = Place("tensorflow", "cpu", 1), Place("tensorflow", "cpu", 2)
PEAK, ROW = MeasurePeak("int8"), Row("wide", "train", "float32", 8, 0)
MEASURE = Measure(VARIANTS["wide"], ROW, Path("splits"), 1, 0)


@pytest.fixture
def crew(world):
    made = Crew(Progress(lambda line: None), size={PLACE: 2, OTHER: 1}.get)
    yield made
    made.close()


def test_a_job_begins_when_the_one_that_it_needs_has_ended(crew, world):
    go = Event()
    world.speed = lambda row: 100.0 if go.wait(10) else None
    first = crew.submit(PLACE, MEASURE)
    second = crew.submit(PLACE, PEAK, after=first)
    # A job without a need overtakes it: the worker for it is there.
    crew.submit(OTHER, FindGpus()).result(10)
    assert (PLACE, PEAK) not in world.done
    go.set()
    assert second.result(10).dtype == "int8"


def test_a_job_fails_as_the_one_that_it_needs(crew, world):
    world.errors = {MeasurePeak: JobError("a job", "broken")}
    broken = crew.submit(PLACE, PEAK)
    with pytest.raises(JobError, match="broken"):
        crew.do(PLACE, FindGpus(), after=broken)
    assert world.done == [(PLACE, PEAK)]


def test_a_job_is_done_once(crew):
    assert crew.planned(PLACE, PEAK) is None
    one = crew.submit(PLACE, PEAK)
    assert crew.submit(PLACE, PEAK) is one is crew.planned(PLACE, PEAK)


def test_a_measurement_that_is_ended_on_purpose_does_not_lack_memory(crew, world):
    def end(row):
        crew.rest(PLACE)
        raise WorkerDied("timing", PLACE, -9, "")

    world.speed = end
    with pytest.raises(WorkerDied):
        crew.do(PLACE, MEASURE)
