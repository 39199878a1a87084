"""The order of measurements, and what is made for them."""

from dataclasses import replace

import pytest
from made_workers import job_of

from cnnbench.machine.backends import Place
from cnnbench.session import measurer
from cnnbench.session.measurer import SWEEP_TO
from cnnbench.session.workers.jobs import Export, MakeReference, Measure, MeasurePeak
from cnnbench.session.workers.process import JobError

PLACE, ONE_THREAD = Place("tensorflow", "cpu", 2), Place("tensorflow", "cpu", 1)
OPENVINO = Place("openvino", "cpu", 2)


@pytest.fixture
def session(started):
    return started(seeds="7-7")


def test_a_row_is_measured_once_after_its_reference(world, session):
    job, bench = job_of(session), session.measurer()
    assert bench.measurements(PLACE, job) == bench.measurements(PLACE, job)
    (reference,), (done,) = world.of(MakeReference), world.of(Measure)
    assert done == replace(job, reference=reference.target)
    assert (reference.seed, reference.weights) == (7, bench.trained_weights(job.variant))
    assert [place for place, _ in world.done] == [ONE_THREAD, PLACE]


def test_references_are_made_ahead_and_one_for_training_serves_inference(world, session):
    rows = [job_of(session), job_of(session, "train")]
    session.plan_measurements((PLACE, job) for job in rows)
    bench = session.measurer()
    (reference,) = world.of(MakeReference)
    assert (reference.workload, reference.batch_size) == ("train", 32)
    for job in rows:
        bench.peak(PLACE, "float32")
        bench.measurements(PLACE, job)
    assert len(world.done) == 4
    # All that is recorded was counted from the start.
    counts = [line.split()[1].strip("[,") for line in world.lines]
    assert [count for count in counts if "/" in count] == ["1/3", "2/3", "3/3"]


def test_training_has_a_reference_for_each_batch_size(world, session):
    for size in (8, 16):
        session.measurer().measurements(PLACE, job_of(session, "train", size=size))
        session.measurer().measurements(PLACE, job_of(session, size=size))
    made = world.of(MakeReference)
    keys = [(job.workload, job.batch_size) for job in made]
    assert keys == [("train", 8), ("inference", 0), ("train", 16)]
    assert len({job.target for job in made}) == 3


@pytest.mark.parametrize(
    ("backends", "installed", "exporter"),
    [
        ("tensorflow", ("tensorflow", "torch"), "tensorflow"),
        ("torch", ("tensorflow", "torch"), "torch"),
        ("jax", ("torch",), "torch"),
        ("jax", (), "jax"),  # which says what to install
    ],
)
def test_exported_models_are_made_where_keras_can(
    world, started, monkeypatch, backends, installed, exporter
):
    monkeypatch.setattr(measurer, "missing", lambda name: None if name in installed else "absent")
    monkeypatch.setattr("cnnbench.machine.backends.missing", lambda name: None)
    session = started(backends=backends)
    for dtype in ("float32", "bfloat16", "int8"):
        session.measurer().measurements(OPENVINO, job_of(session, dtype=dtype))
    assert {place.backend for place, job in world.done if isinstance(job, Export)} == {exporter}
    float32, int8 = world.of(Export)
    assert (float32.dtype, int8.dtype) == ("float32", "int8")
    exported = [job.exported for job in world.of(Measure)]
    assert exported == [float32.target, float32.target, int8.target]
    first = [(type(job), place.backend) for place, job in world.done][:3]
    assert first == [(MakeReference, backends), (Export, exporter), (Measure, "openvino")]


def test_processes_measure_everything_in_turn(world, started):
    session = started(processes="2")
    one, other = job_of(session), job_of(session, "train")
    session.plan_measurements([(PLACE, one), (PLACE, other)])
    bench = session.measurer()
    world.events.clear()
    found = bench.measurements(PLACE, one)
    assert [row.row.process for row in found] == [0, 1]
    turn = [(0, "inference"), (0, "train"), "stop"]
    assert [
        (event.row.process, event.row.workload) if isinstance(event, Measure) else event[0]
        for event in world.events
    ] == [*turn, (1, "inference"), (1, "train"), "stop"]
    assert len(bench.measurements(PLACE, other)) == 2
    assert len(world.of(Measure)) == 4


def test_another_row_that_fails_is_reported_by_its_own_test(world, started):
    world.speed = lambda row: JobError("timing", "broken") if row.workload == "train" else 100.0
    session = started(processes="2")
    one, broken = job_of(session), job_of(session, "train")
    session.plan_measurements([(PLACE, broken), (PLACE, one)])
    assert len(session.measurer().measurements(PLACE, one)) == 2
    with pytest.raises(JobError, match="broken"):
        session.measurer().measurements(PLACE, broken)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        # Twice as fast up to 4, then never 5 % faster: two such batch sizes end it.
        (lambda size: 100.0 * min(size, 4), [1, 2, 4, 8, 16]),
        # One flat batch size does not.
        ({1: 100.0, 2: 101.0, 4: 200.0, 8: 201.0, 16: 202.0}.get, [1, 2, 4, 8, 16]),
        # It must be faster than the best, not than the last.
        ({1: 100.0, 2: 50.0, 4: 60.0}.get, [1, 2, 4]),
        (lambda size: 100.0 * size if size < 8 else None, [1, 2, 4, 8]),
        (lambda size: 100.0 * size, [2**power for power in range(SWEEP_TO.bit_length())]),
    ],
)
def test_a_sweep_ends(world, session, speed, expected):
    world.speed = lambda row: speed(row.batch_size)
    found = session.measurer().sweep(PLACE, job_of(session))
    assert [one.row.batch_size for one in found] == expected
    assert len(world.of(MakeReference, MeasurePeak)) == 1
