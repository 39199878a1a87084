"""Real worker processes: warm, replaced when they die, and the same everywhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from few import FEW

from cnnbench.machine.backends import missing
from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.records.measurements import Row
from cnnbench.records.runs import TrainingRun
from cnnbench.session.workers.jobs import (
    CheckModels,
    Export,
    MakeReference,
    Measure,
    Sanity,
    Train,
)
from cnnbench.session.workers.pool import WorkerPool
from cnnbench.session.workers.process import JobError, WorkerDied
from cnnbench.speed.reference import load_weights
from cnnbench.training.protocols import Protocol

PLACE = Place("tensorflow", "cpu", 1)
SHORT = Protocol("one-pass", epochs=1)


def new_pool(size: int = 1) -> WorkerPool:
    return WorkerPool(PLACE, size)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = new_pool(2)
    yield pool
    pool.close()


def training(manifest: Path, variant: Variant, seed: int = 0) -> Train:
    return Train(variant, manifest, seed, SHORT)


@pytest.mark.parametrize("names", [FEW, pytest.param(tuple(VARIANTS), marks=pytest.mark.slow)])
def test_every_variant_trains_to_the_same_bits_in_different_processes(
    names: tuple[str, ...], tiny_manifest: Path
) -> None:
    variants = [VARIANTS[name] for name in names]
    pools = [new_pool(), new_pool()]
    try:
        orders = variants, variants[::-1]
        futures: list[dict[str, Future[TrainingRun]]] = [
            {variant.name: pool.submit(training(tiny_manifest, variant)) for variant in order}
            for pool, order in zip(pools, orders, strict=True)
        ]
        first, second = (
            {name: future.result() for name, future in each.items()} for each in futures
        )
    finally:
        for pool in pools:
            pool.close()
    for name in names:
        one, other = first[name], second[name]
        assert one.weights_sha256 == other.weights_sha256, name
        assert one.val_probabilities == other.val_probabilities, name


def test_a_failing_job_tells_why_and_the_worker_goes_on(
    pool: WorkerPool, tiny_manifest: Path
) -> None:
    bad = pool.submit(training(tiny_manifest, variant_named("faults:raises")))
    with pytest.raises(JobError, match="this model can't be made"):
        bad.result()
    good = pool.submit(training(tiny_manifest, VARIANTS["documented"])).result()
    assert good.seconds > 0


def test_a_model_that_answers_no_probabilities_is_told(
    pool: WorkerPool, tiny_manifest: Path
) -> None:
    job = pool.submit(training(tiny_manifest, variant_named("faults:logits")))
    with pytest.raises(JobError, match="end it with a sigmoid or a softmax"):
        job.result()


def test_a_worker_that_dies_is_replaced_and_costs_no_other_job_its_result(
    tiny_manifest: Path,
) -> None:
    pool = new_pool()
    try:
        dying = pool.submit(training(tiny_manifest, variant_named("faults:crashing")))
        waiting = pool.submit(training(tiny_manifest, VARIANTS["documented"]))
        with pytest.raises(WorkerDied, match=r"faults:crashing seed 0: .* ended by signal 9"):
            dying.result()
        assert waiting.result().seconds > 0
    finally:
        pool.close()


def test_problems_of_all_models_are_told_at_once(pool: WorkerPool, tiny_manifest: Path) -> None:
    names = ("documented", "faults:no_model", "faults:wrong_shape")
    job = CheckModels(tuple(variant_named(name) for name in names), tiny_manifest)
    assert [problem.split()[0] for problem in pool.submit(job).result()] == list(names[1:])


def test_an_unforeseen_error_of_the_model_check_is_a_problem_like_others(
    pool: WorkerPool, tiny_manifest: Path
) -> None:
    job = CheckModels((replace(VARIANTS["documented"], blocks=("many",)),), tiny_manifest)
    (problem,) = pool.submit(job).result()
    assert problem.startswith("documented can't be used: ")
    assert "Traceback" in problem


def test_a_subclassed_model_does_every_job(
    pool: WorkerPool, tiny_manifest: Path, tmp_path: Path
) -> None:
    variant, manifest = variant_named("faults:subclassed"), tiny_manifest
    reference, exported = tmp_path / "reference.npz", tmp_path / "model.onnx"
    assert pool.submit(CheckModels((variant,), manifest)).result() == ()
    trained = pool.submit(training(tiny_manifest, variant)).result()
    assert trained.dead_units
    learnt = pool.submit(Sanity("memorization", variant, manifest, 0, SHORT)).result()
    assert learnt.accuracy == 1.0
    pool.submit(
        MakeReference(variant, manifest, "train", 8, 0, tmp_path / "none.npz", reference)
    ).result()
    for workload in ("train", "inference"):
        row = Row(variant.name, workload, "float32", 8, 0)
        measured = pool.submit(Measure(variant, row, manifest, 2, 1, reference)).result()
        assert measured.agreement is not None
        assert measured.agreement.equal_share == 1.0
    if missing("onnxruntime") is None:
        pool.submit(Export(variant, manifest, 0, reference, exported)).result()
        assert exported.is_file()


def test_a_users_line_is_told_without_a_traceback(pool: WorkerPool, tiny_manifest: Path) -> None:
    job = training(tiny_manifest, variant_named("faults:raises_later"))
    with pytest.raises(
        JobError, match=r"faults:raises_later failed in \S*faults.py:\d+: "
    ) as raised:
        pool.submit(job).result()
    assert raised.value.details == ""


def test_trained_weights_are_kept_where_the_job_says(
    pool: WorkerPool, tiny_manifest: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.npz"
    job = Train(VARIANTS["single-block"], tiny_manifest, 0, SHORT, path)
    run = pool.submit(job).result()
    assert sum(weight.size for weight in load_weights(path)) == run.parameters


def test_a_closed_pool_ends_its_processes() -> None:
    pool = new_pool()
    worker = pool.warm_up().result()
    pool.close()
    assert worker.wait() == -signal.SIGKILL
