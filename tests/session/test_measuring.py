"""The order of measurements, with a crew that does nothing but tell what it was asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from factories import measurement, peak

from cnnbench.records.measurements import Measurement
from cnnbench.report.rows import images_per_second
from cnnbench.session import prepared as made_ahead
from cnnbench.session.measuring import SWEEP_TO, Measuring
from cnnbench.session.options import Options
from cnnbench.session.prepared import References
from cnnbench.session.progress import Progress
from cnnbench.session.wanted import Spot, Wanted
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import Export, Job, MakeReference, Measure, MeasurePeak
from cnnbench.session.workers.process import JobError, WorkerDied, WorkerSpec

SPOT = Spot("tensorflow", "cpu", "float32")
WANTED = Wanted("documented", "inference", SPOT, 32, rounds=3, warmup_rounds=1)
ONNX = replace(WANTED, spot=Spot("openvino", "cpu", "float32"))


def rate(job: Measure) -> float:
    return 100.0


class FakeCrew:
    """Does each job at once, and keeps what happened in order."""

    def __init__(self, images: Callable[[Measure], float | Exception | None] = rate) -> None:
        self.images = images
        self.log: list[tuple[WorkerSpec, Any]] = []
        self.futures: dict[tuple[WorkerSpec, Job], Future[Any]] = {}
        self.waited: list[Future[Any] | None] = []

    def submit(
        self, spec: WorkerSpec, job: Job, size: int = 1, after: Future[Any] | None = None
    ) -> Future[Any]:
        if (spec, job) not in self.futures:
            self.log.append((spec, job))
            self.waited.append(after)
            future = self.futures[spec, job] = Future()
            result = self.result(job)
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        return self.futures[spec, job]

    def result(self, job: Job) -> Any:
        if isinstance(job, MeasurePeak):
            return peak(backend=job.backend)
        if not isinstance(job, Measure):
            return {}
        found = self.images(job)
        if isinstance(found, Exception):
            return found
        row = measurement(batch_size=job.batch_size, process=job.process, variant=job.variant.name)
        if found is None:
            return replace(row, out_of_memory=True, round_seconds=())
        seconds = row.steps_per_round * job.batch_size / found
        return replace(row, round_seconds=(seconds,))

    def rest(self, spec: WorkerSpec) -> None:
        self.log.append((spec, "rest"))

    def done(self, kind: type) -> list[Any]:
        return [job for _, job in self.log if isinstance(job, kind)]


def referring(crew: FakeCrew, tmp_path: Path, **options: Any) -> References:
    return References(
        Options(**options),
        cast(Crew, crew),
        Progress(lambda line: None),
        "manifest",
        tmp_path,
        lambda variant: tmp_path / f"{variant.name}-trained.npz",
    )


def measures(
    crew: FakeCrew,
    tmp_path: Path,
    *wanted: Wanted,
    kept: list[Measurement] | None = None,
    references: References | None = None,
    **options: Any,
) -> Measuring:
    return Measuring(
        Options(**options),
        cast(Crew, crew),
        Progress(lambda line: None),
        "manifest",
        references or referring(crew, tmp_path, **options),
        2,
        (kept if kept is not None else []).append,
        wanted,
    )


def test_a_row_is_measured_once_with_its_reference(tmp_path: Path) -> None:
    crew = FakeCrew()
    bench = measures(crew, tmp_path, seeds=(7, 8))
    assert bench.measurements(WANTED) == bench.measurements(WANTED)
    (reference,), (job,) = crew.done(MakeReference), crew.done(Measure)
    assert (job.reference, job.exported, job.seed) == (reference.target, "", 7)
    assert (job.workload, job.batch_size, job.rounds, job.warmup_rounds) == ("inference", 32, 3, 1)
    assert [spec for spec, _ in crew.log] == [WorkerSpec("tensorflow", "cpu", 2)] * 2


def test_trained_weights_are_what_answers(tmp_path: Path) -> None:
    crew = FakeCrew()
    measures(crew, tmp_path).measurements(WANTED)
    assert crew.done(MakeReference)[0].weights == str(tmp_path / "documented-trained.npz")


def test_references_made_ahead_are_not_made_again(tmp_path: Path) -> None:
    crew = FakeCrew()
    references, spec = referring(crew, tmp_path), WorkerSpec("tensorflow", "cpu", 1)
    rows = (WANTED, replace(WANTED, workload="train"), replace(WANTED, variant="wide"))
    made = references.plan([row.question() for row in rows], spec, 2, lambda variant: None)
    bench = measures(crew, tmp_path, references=references)
    for row in rows:
        bench.measurements(row)
    # One of training serves inference, too.
    assert [(job.variant.name, job.workload) for job in crew.done(MakeReference)] == [
        ("documented", "train"),
        ("wide", "inference"),
    ]
    assert len(set(made)) == 2
    assert [one for one, job in crew.log if isinstance(job, MakeReference)] == [spec] * 2


def test_references_made_ahead_wait_for_the_training_of_their_network(tmp_path: Path) -> None:
    crew = FakeCrew()
    trained: Future[Any] = Future()
    spec = WorkerSpec("tensorflow", "cpu", 1)
    referring(crew, tmp_path).plan([WANTED.question()], spec, 1, lambda variant: trained)
    assert crew.waited == [trained]


def test_one_reference_serves_every_place_and_batch_size(tmp_path: Path) -> None:
    crew = FakeCrew()
    bench = measures(crew, tmp_path)
    for batch_size in (8, 32):
        for device in ("cpu", "gpu"):
            spot = replace(SPOT, device=device)
            bench.measurements(replace(WANTED, spot=spot, batch_size=batch_size))
    assert len(crew.done(MakeReference)) == 1
    assert len(crew.done(Measure)) == 4


def test_training_has_a_reference_for_each_batch_size(tmp_path: Path) -> None:
    crew = FakeCrew()
    bench = measures(crew, tmp_path)
    for batch_size in (8, 32):
        bench.measurements(replace(WANTED, workload="train", batch_size=batch_size))
    assert [job.batch_size for job in crew.done(MakeReference)] == [8, 32]
    assert len({job.target for job in crew.done(MakeReference)}) == 2


def test_exported_models_are_made_where_keras_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_ahead, "missing", lambda backend: None)
    crew = FakeCrew()
    measures(crew, tmp_path).measurements(ONNX)
    kinds = [(type(job).__name__, spec.backend) for spec, job in crew.log]
    assert kinds == [
        ("MakeReference", "tensorflow"),
        ("Export", "tensorflow"),
        ("Measure", "openvino"),
    ]
    (exported,), (job,) = crew.done(Export), crew.done(Measure)
    assert job.exported == exported.target != ""
    assert exported.int8 == ""


def test_int8_is_of_a_quantized_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_ahead, "missing", lambda backend: None)
    crew = FakeCrew()
    measures(crew, tmp_path).measurements(replace(ONNX, spot=Spot("openvino", "cpu", "int8")))
    (exported,), (job,) = crew.done(Export), crew.done(Measure)
    assert job.exported == exported.int8 != exported.target


def test_peaks_are_asked_of_their_place(tmp_path: Path) -> None:
    crew = FakeCrew()
    bench = measures(crew, tmp_path)
    assert bench.peak(replace(SPOT, backend="jax")).backend == "jax"
    assert crew.log[0][0] == WorkerSpec("jax", "cpu", 2)


# Processes


def test_processes_measure_everything_in_turn(tmp_path: Path) -> None:
    other = replace(WANTED, workload="train")
    crew = FakeCrew()
    bench = measures(crew, tmp_path, WANTED, other, processes=2)
    found = bench.measurements(WANTED)
    assert [one.process for one in found] == [0, 1]
    told = [
        job if isinstance(job, str) else (job.process, job.workload)
        for _, job in crew.log
        if isinstance(job, (str, Measure))
    ]
    turn = [(0, "inference"), (0, "train"), "rest"]
    assert told == [*turn, (1, "inference"), (1, "train"), "rest"]
    assert len(bench.measurements(other)) == 2
    assert len(crew.done(Measure)) == 4


def test_another_row_that_fails_is_told_by_its_own_test(tmp_path: Path) -> None:
    bad = replace(WANTED, workload="train")
    broken = JobError("broken")
    crew = FakeCrew(lambda job: broken if job.workload == "train" else 100.0)
    bench = measures(crew, tmp_path, bad, WANTED, processes=2)
    assert len(bench.measurements(WANTED)) == 2
    with pytest.raises(JobError, match="broken"):
        bench.measurements(bad)


# Sweeps


def test_a_sweep_ends_when_throughput_is_flat(tmp_path: Path) -> None:
    # Twice as fast up to 4, then never 5 % faster: two such batch sizes end it.
    crew = FakeCrew(lambda job: 100.0 * min(job.batch_size, 4))
    found = measures(crew, tmp_path).sweep(WANTED)
    assert [one.batch_size for one in found] == [1, 2, 4, 8, 16]


def test_one_flat_batch_size_does_not_end_a_sweep(tmp_path: Path) -> None:
    speeds = {1: 100.0, 2: 101.0, 4: 200.0, 8: 201.0, 16: 202.0}
    crew = FakeCrew(lambda job: speeds[job.batch_size])
    found = measures(crew, tmp_path).sweep(WANTED)
    assert [one.batch_size for one in found] == [1, 2, 4, 8, 16]


def test_a_sweep_ends_where_memory_does(tmp_path: Path) -> None:
    crew = FakeCrew(lambda job: 100.0 * job.batch_size if job.batch_size < 8 else None)
    found = measures(crew, tmp_path).sweep(WANTED)
    assert [one.batch_size for one in found] == [1, 2, 4, 8]
    assert [one.out_of_memory for one in found] == [False, False, False, True]


def test_a_sweep_that_never_ends_does(tmp_path: Path) -> None:
    crew = FakeCrew(lambda job: 100.0 * job.batch_size)
    assert measures(crew, tmp_path).sweep(WANTED)[-1].batch_size == SWEEP_TO


# A worker that is killed


def test_a_worker_that_the_system_killed_is_a_row(tmp_path: Path) -> None:
    kept: list[Measurement] = []
    killed = WorkerDied("killed", exit_code=-signal.SIGKILL)
    crew = FakeCrew(lambda job: killed)
    (found,) = measures(crew, tmp_path, kept=kept).measurements(WANTED)
    assert found.out_of_memory
    assert (found.batch_size, found.round_seconds, found.threads) == (32, (), 2)
    assert kept == [found]
    assert images_per_second(found) == 0.0


def test_a_killed_worker_ends_a_sweep(tmp_path: Path) -> None:
    killed = WorkerDied("killed", exit_code=-signal.SIGKILL)
    crew = FakeCrew(lambda job: 100.0 * job.batch_size if job.batch_size < 4 else killed)
    found = measures(crew, tmp_path).sweep(WANTED)
    assert [one.batch_size for one in found] == [1, 2, 4]
    assert found[-1].out_of_memory


def test_a_worker_that_died_otherwise_is_an_error(tmp_path: Path) -> None:
    died = WorkerDied("crashed: by signal 9", exit_code=-signal.SIGSEGV)
    with pytest.raises(WorkerDied, match="crashed"):
        measures(FakeCrew(lambda job: died), tmp_path).measurements(WANTED)


def test_images_per_second_are_of_the_median_round() -> None:
    # Rounds of 2 steps of 32 pictures: 1, 2 and 9 s.
    assert images_per_second(measurement(round_seconds=(1.0, 9.0, 2.0))) == 32.0
