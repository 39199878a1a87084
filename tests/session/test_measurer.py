"""The order of measurements, with a crew that does nothing but note what it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from factories import measurement, peak

from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.records.measurements import Row
from cnnbench.session import measurer
from cnnbench.session.measurer import SWEEP_TO, Measurer
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import Export, Job, MakeReference, Measure, MeasurePeak, Quantize
from cnnbench.session.workers.process import JobError

PLACE = Place("tensorflow", "cpu", 2)
ONE_THREAD = Place("tensorflow", "cpu", 1)
OPENVINO = Place("openvino", "cpu", 2)
DOCUMENTED = VARIANTS["documented"]
JOB = Measure(DOCUMENTED, Row("documented", "inference", "float32", 32, 7), Path("manifest"), 3, 1)


def with_row(**changes: Any) -> Measure:
    return replace(JOB, row=replace(JOB.row, **changes))


TRAIN = with_row(workload="train")


class FakeCrew:
    """Does each job at once, and keeps what happened in order."""

    def __init__(self, speed: Callable[[Row], float | Exception | None] = lambda row: 100) -> None:
        self.speed = speed
        self.log: list[tuple[Place, Any]] = []
        self.futures: dict[tuple[Place, Job[Any]], Future[Any]] = {}
        self.needs: list[Future[Any] | None] = []
        self.expected: set[tuple[Place, Job[Any]]] = set()

    def submit(self, place: Place, job: Job[Any], after: Future[Any] | None = None) -> Future[Any]:
        if (place, job) not in self.futures:
            self.log.append((place, job))
            self.needs.append(after)
            future = self.futures[place, job] = Future()
            result = self.result(job)
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        return self.futures[place, job]

    def do(self, place: Place, job: Job[Any], after: Future[Any] | None = None) -> Any:
        return self.submit(place, job, after).result()

    def result(self, job: Job[Any]) -> Any:
        if isinstance(job, MeasurePeak):
            return peak(dtype=job.dtype)
        if not isinstance(job, Measure):
            return None
        found = self.speed(job.row)
        if isinstance(found, Exception):
            return found
        if found is None:
            return measurement(row=job.row, out_of_memory=True, round_seconds=())
        return measurement(
            row=job.row, steps_per_round=1, round_seconds=(job.row.batch_size / found,)
        )

    def expect(self, place: Place, job: Job[Any]) -> None:
        self.expected.add((place, job))

    def rest(self, place: Place) -> None:
        self.log.append((place, "rest"))

    def done(self, kind: type) -> list[Any]:
        return [job for _, job in self.log if isinstance(job, kind)]


def measures(
    crew: FakeCrew,
    processes: int = 1,
    trainer: str = "tensorflow",
    trained: Future[Any] | None = None,
) -> Measurer:
    return Measurer(cast(Crew, crew), trainer, processes, Path("scratch"), lambda _: trained)


def test_a_row_is_measured_once_after_its_reference() -> None:
    crew = FakeCrew()
    bench = measures(crew)
    assert bench.measurements(PLACE, JOB) == bench.measurements(PLACE, JOB)
    (reference,), (job,) = crew.done(MakeReference), crew.done(Measure)
    assert job == replace(JOB, reference=reference.target)
    assert (reference.seed, reference.weights) == (7, bench.trained_weights(DOCUMENTED))
    assert [place for place, _ in crew.log] == [ONE_THREAD, PLACE]
    assert crew.needs == [None, crew.futures[ONE_THREAD, reference]]


def test_references_are_made_ahead_after_the_training_of_their_network() -> None:
    crew = FakeCrew()
    trained: Future[Any] = Future()
    bench = measures(crew, trained=trained)
    bench.plan([(PLACE, JOB), (PLACE, TRAIN)])
    # One for training serves inference, too.
    (reference,) = crew.done(MakeReference)
    assert (reference.workload, reference.batch_size) == ("train", 32)
    assert crew.needs == [trained]
    assert len(crew.expected) == 3  # two measurements and a peak
    bench.measurements(PLACE, JOB)
    bench.measurements(PLACE, TRAIN)
    assert crew.expected > {(PLACE, job) for job in crew.done(Measure)}
    assert len(crew.done(MakeReference)) == 1


def test_training_has_a_reference_for_each_batch_size() -> None:
    crew = FakeCrew()
    for size in (8, 16):
        measures(crew).measurements(PLACE, with_row(workload="train", batch_size=size))
        measures(crew).measurements(PLACE, with_row(batch_size=size))
    made = crew.done(MakeReference)
    assert [(job.workload, job.batch_size) for job in made] == [
        ("train", 8),
        ("inference", 0),
        ("train", 16),
    ]
    assert len({job.target for job in made}) == 3


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_exported_models_are_made_where_keras_is(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurer, "missing", lambda backend: None)
    crew = FakeCrew()
    bench = measures(crew, trainer="jax")
    bench.measurements(OPENVINO, with_row(dtype=dtype))
    steps = [(type(job), place.backend) for place, job in crew.log]
    quantized = [(Quantize, "tensorflow")] if dtype == "int8" else []
    assert steps == [
        (MakeReference, "jax"),
        (Export, "tensorflow"),
        *quantized,
        (Measure, "openvino"),
    ]
    *_, last, job = (job for _, job in crew.log)
    assert job.exported == last.target
    assert crew.needs == [None, *list(crew.futures.values())[:-1]]


def test_peaks_are_asked_of_their_place() -> None:
    crew = FakeCrew()
    assert measures(crew).peak(OPENVINO, "int8").dtype == "int8"
    assert crew.log == [(OPENVINO, MeasurePeak("int8"))]


# Processes


def test_processes_measure_everything_in_turn() -> None:
    crew = FakeCrew()
    bench = measures(crew, processes=2)
    bench.plan([(PLACE, JOB), (PLACE, TRAIN)])
    found = bench.measurements(PLACE, JOB)
    assert [one.row.process for one in found] == [0, 1]
    noted = [
        job if job == "rest" else (job.row.process, job.row.workload)
        for _, job in crew.log
        if job == "rest" or isinstance(job, Measure)
    ]
    turn = [(0, "inference"), (0, "train"), "rest"]
    assert noted == [*turn, (1, "inference"), (1, "train"), "rest"]
    assert len(bench.measurements(PLACE, TRAIN)) == 2
    assert len(crew.done(Measure)) == 4


def test_another_row_that_fails_is_reported_by_its_own_test() -> None:
    crew = FakeCrew(lambda row: JobError("timing", "broken") if row.workload == "train" else 100.0)
    bench = measures(crew, processes=2)
    bench.plan([(PLACE, TRAIN), (PLACE, JOB)])
    assert len(bench.measurements(PLACE, JOB)) == 2
    with pytest.raises(JobError, match="broken"):
        bench.measurements(PLACE, TRAIN)


# Sweeps


@pytest.mark.parametrize(
    ("speed", "sizes"),
    [
        # Twice as fast up to 4, then never 5 % faster: two such batch sizes end it.
        (lambda size: 100.0 * min(size, 4), [1, 2, 4, 8, 16]),
        # One flat batch size does not.
        ({1: 100.0, 2: 101.0, 4: 200.0, 8: 201.0, 16: 202.0}.get, [1, 2, 4, 8, 16]),
        # Nor is it fast enough when it is faster than the last, but not than the best.
        ({1: 100.0, 2: 50.0, 4: 60.0}.get, [1, 2, 4]),
        # Memory ends.
        (lambda size: 100.0 * size if size < 8 else None, [1, 2, 4, 8]),
    ],
    ids=["flat", "one flat", "best", "memory"],
)
def test_a_sweep_ends(speed: Callable[[int], float | None], sizes: list[int]) -> None:
    crew = FakeCrew(lambda row: speed(row.batch_size))
    found = measures(crew).sweep(PLACE, JOB)
    assert [one.row.batch_size for one in found] == sizes


def test_a_sweep_has_a_largest_batch_size() -> None:
    crew = FakeCrew(lambda row: 100.0 * row.batch_size)
    assert measures(crew).sweep(PLACE, JOB)[-1].row.batch_size == SWEEP_TO
