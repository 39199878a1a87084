"""Real worker processes: warm, replaced when they die, and the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from few import FEW

from cnnbench.machine.backends import missing
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.records.measurements import Measurement
from cnnbench.records.runs import SanityRun, TrainingRun
from cnnbench.session.workers.jobs import (
    CheckModels,
    Export,
    FindGpus,
    Job,
    MakeReference,
    Measure,
    MeasurePeak,
    Predict,
    Sanity,
    Train,
    from_data,
    to_data,
)
from cnnbench.session.workers.pool import WorkerPool
from cnnbench.session.workers.process import JobError, Result, WorkerDied, WorkerSpec
from cnnbench.speed.reference import load_weights
from cnnbench.training.protocols import Protocol

SPEC = WorkerSpec("tensorflow", "cpu", 1)
SHORT = Protocol("one-pass", epochs=1)


def new_pool(size: int = 1) -> WorkerPool:
    return WorkerPool(SPEC, size)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = new_pool(2)
    yield pool
    pool.close()


def training(manifest: Path, variant: Variant, seed: int = 0) -> Train:
    return Train(variant, str(manifest), seed, SHORT)


@pytest.mark.parametrize(
    "job",
    [
        Train(VARIANTS["wide"], "m", 1, SHORT),
        Sanity("memorization", VARIANTS["dropout"], "m", 1, SHORT),
        Train(VARIANTS["wide"], "m", 1, SHORT, "weights.npz"),
        FindGpus(),
        MakeReference(VARIANTS["documented"], "m", "train", 32, 0, "", "answers.npz"),
        Export(VARIANTS["documented"], "m", 0, "answers.npz", "model.onnx", ""),
        Measure(VARIANTS["documented"], "m", "train", "jax", "cpu", "bfloat16", 32, 0, 10, 2, 1),
        MeasurePeak("torch", "gpu:1", "float16"),
        Predict("folder", ("a.png", "b.png")),
        CheckModels((VARIANTS["documented"], variant_named("a.b:c")), "m"),
    ],
    ids=lambda job: type(job).__name__,
)
def test_a_job_travels_as_plain_data(job: Job) -> None:
    assert from_data(to_data(job)) == job


@pytest.mark.parametrize("names", [FEW, pytest.param(tuple(VARIANTS), marks=pytest.mark.slow)])
def test_every_variant_trains_to_the_same_bits_in_different_processes(
    names: tuple[str, ...], tiny_manifest: Path
) -> None:
    variants = [VARIANTS[name] for name in names]
    pools = [new_pool(), new_pool()]
    try:
        orders = variants, variants[::-1]
        futures: list[dict[str, Future[Result]]] = [
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
        assert isinstance(one, TrainingRun)
        assert isinstance(other, TrainingRun)
        assert one.weights_sha256 == other.weights_sha256, name
        assert one.val_probabilities == other.val_probabilities, name


def test_a_failing_job_tells_why_and_the_worker_goes_on(
    pool: WorkerPool, tiny_manifest: Path
) -> None:
    bad = pool.submit(training(tiny_manifest, variant_named("faults:raises")))
    with pytest.raises(JobError, match="this model can't be made"):
        bad.result()
    good = pool.submit(training(tiny_manifest, VARIANTS["documented"])).result()
    assert isinstance(good, TrainingRun)


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
        assert isinstance(waiting.result(), TrainingRun)
    finally:
        pool.close()


def test_problems_of_all_models_are_told_at_once(pool: WorkerPool, tiny_manifest: Path) -> None:
    names = ("documented", "faults:no_model", "faults:wrong_shape")
    job = CheckModels(tuple(variant_named(name) for name in names), str(tiny_manifest))
    answer = pool.submit(job).result()
    assert isinstance(answer, dict)
    assert [problem.split()[0] for problem in answer["problems"]] == list(names[1:])


def test_an_unforeseen_error_of_the_model_check_is_a_problem_like_others(
    pool: WorkerPool, tiny_manifest: Path
) -> None:
    job = CheckModels((replace(VARIANTS["documented"], blocks=("many",)),), str(tiny_manifest))
    answer = pool.submit(job).result()
    assert isinstance(answer, dict)
    (problem,) = answer["problems"]
    assert problem.startswith("documented can't be used: ")
    assert "Traceback" in problem


def test_a_subclassed_model_does_every_job(
    pool: WorkerPool, tiny_manifest: Path, tmp_path: Path
) -> None:
    variant, manifest = variant_named("faults:subclassed"), str(tiny_manifest)
    reference, exported = str(tmp_path / "reference.npz"), str(tmp_path / "model.onnx")
    checked = pool.submit(CheckModels((variant,), manifest)).result()
    assert checked == {"problems": []}
    trained = pool.submit(training(tiny_manifest, variant)).result()
    assert isinstance(trained, TrainingRun)
    assert trained.dead_units
    learnt = pool.submit(Sanity("memorization", variant, manifest, 0, SHORT)).result()
    assert isinstance(learnt, SanityRun)
    assert learnt.accuracy == 1.0
    pool.submit(MakeReference(variant, manifest, "train", 8, 0, "", reference)).result()
    for workload in ("train", "inference"):
        measured = pool.submit(
            Measure(
                *(variant, manifest, workload, "tensorflow", "cpu", "float32"),
                *(8, 0, 2, 1, 0, reference),
            )
        ).result()
        assert isinstance(measured, Measurement)
        assert measured.agreement is not None
        assert measured.agreement.equal_share == 1.0
    if missing("onnxruntime") is None:
        pool.submit(Export(variant, manifest, 0, reference, exported, "")).result()
        assert Path(exported).is_file()


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
    job = Train(VARIANTS["single-block"], str(tiny_manifest), 0, SHORT, str(path))
    run = pool.submit(job).result()
    assert isinstance(run, TrainingRun)
    assert sum(weight.size for weight in load_weights(path)) == run.parameters


def test_a_closed_pool_ends_its_processes() -> None:
    pool = new_pool()
    pool.warm_up(1)
    process = next(iter(pool._all))._process
    pool.close()
    assert process.poll() is not None
