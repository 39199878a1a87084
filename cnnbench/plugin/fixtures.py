"""The fixtures. `pytest --fixtures` shows the first paragraph of each docstring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.items import Spot, variant_of
from cnnbench.plugin.running import Asking

if TYPE_CHECKING:
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.records.records import (
        CheckResult,
        DataSet,
        Measurement,
        SanityRun,
        TrainingRun,
        Workload,
    )


@pytest.fixture
def _cnnbench(request: pytest.FixtureRequest, benchmark: Any) -> Asking:
    # It requests `benchmark` so that --benchmark-only skips no test that uses cnnbench.
    return Asking(request, benchmark)


# What a test is about


@pytest.fixture
def cnnbench_variant(request: pytest.FixtureRequest) -> Variant:
    """`Variant` under test; its `name` is in the test's id. The test runs once for each variant."""
    return variant_of(request.param)


@pytest.fixture
def cnnbench_seed(request: pytest.FixtureRequest) -> int:
    """`int`: seed of the training run. The test runs once for each seed."""
    return int(request.param)


@pytest.fixture
def cnnbench_workload(request: pytest.FixtureRequest) -> Workload:
    """`"train"` or `"inference"`. The test runs once for each."""
    workload: Workload = request.param
    return workload


@pytest.fixture
def cnnbench_backend(request: pytest.FixtureRequest) -> str:
    """`str`: backend to measure, such as `"tensorflow"`. The test runs once for each backend."""
    return str(request.param)


@pytest.fixture
def cnnbench_device(request: pytest.FixtureRequest) -> str:
    """`str`: device to measure, as `"cpu"` or `"gpu:1"`. The test runs once for each."""
    return str(request.param)


@pytest.fixture
def cnnbench_dtype(request: pytest.FixtureRequest) -> str:
    """`str`: what models compute in, such as `"float32"`. The test runs once for each dtype."""
    return str(request.param)


@pytest.fixture
def cnnbench_batch_size(request: pytest.FixtureRequest) -> int | str:
    """`int`: pictures per step, or `"sweep"`. The test runs once for each batch size."""
    size: int | str = request.param
    return size


# Pictures


@pytest.fixture
def cnnbench_data(_cnnbench: Asking) -> DataSet:
    """`DataSet`: the pictures of this session, with `name`, `classes`, `content_hash`,
    `input_shape`, `train_pictures`, `validation_names` and `validation_labels`.
    """
    return _cnnbench.session().data_set


@pytest.fixture
def cnnbench_held_out(_cnnbench: Asking) -> tuple[str, ...]:
    """`tuple` of `str`: a line for each picture that is on both sides. Benchmarks reading them."""
    _cnnbench.show([_cnnbench.load_seconds()])
    return _cnnbench.leaks()


@pytest.fixture
def cnnbench_near_duplicates(_cnnbench: Asking) -> NearDuplicates:
    """`NearDuplicates`: `pairs` and `look_alikes`, tuples of the names of a training and a
    held-out picture. Benchmarks comparing the pictures.
    """
    session, start = _cnnbench.session(), time.perf_counter()
    found = session.near_duplicates
    _cnnbench.show([time.perf_counter() - start])
    return found


# Trainings


@pytest.fixture
def cnnbench_run(_cnnbench: Asking, cnnbench_variant: Variant, cnnbench_seed: int) -> TrainingRun:
    """`TrainingRun`: the training of this variant under this seed, with `val_accuracy`,
    `train_accuracy`, `generalization_gap`, `val_loss` and `history`. Benchmarks its `seconds`.
    """
    run = _cnnbench.training_run(cnnbench_variant, cnnbench_seed)
    _cnnbench.show(
        [run.seconds],
        variant=run.variant,
        seed=run.seed,
        accuracy=run.val_accuracy,
        generalization_gap=run.generalization_gap,
        # With validation, and beside another training: no measure of throughput.
        images_per_second=run.epochs * run.steps_per_epoch * run.batch_size / run.seconds,
    )
    return run


@pytest.fixture
def cnnbench_runs(_cnnbench: Asking, cnnbench_variant: Variant) -> tuple[TrainingRun, ...]:
    """`tuple` of `TrainingRun`: the trainings of this variant, one per seed."""
    return _cnnbench.training_runs(cnnbench_variant)


@pytest.fixture
def cnnbench_memorization(_cnnbench: Asking, cnnbench_variant: Variant) -> SanityRun:
    """`SanityRun`: training on one tiny batch, with `accuracy` and `loss` on it. Benchmarked."""
    return _cnnbench.sanity_run(cnnbench_variant, "memorization")


@pytest.fixture
def cnnbench_shuffled_labels(_cnnbench: Asking, cnnbench_variant: Variant) -> SanityRun:
    """`SanityRun`: training on shuffled labels, with held-out `accuracy`, `loss`. Benchmarked."""
    return _cnnbench.sanity_run(cnnbench_variant, "shuffled_labels")


# Gates. Each trains as many seeds as needed, up to --cnnbench-max-seeds, shares --cnnbench-alpha
# with all gates of the session, and skips the test where there is no target or no baseline.


@pytest.fixture
def cnnbench_accuracy(_cnnbench: Asking, cnnbench_variant: Variant) -> CheckResult:
    """`CheckResult`, for `cnnbench_judge`: is mean held-out accuracy at least the target?"""
    return _cnnbench.gate(cnnbench_variant, "cnnbench_accuracy")


@pytest.fixture
def cnnbench_accuracy_drop(_cnnbench: Asking, cnnbench_variant: Variant) -> CheckResult:
    """`CheckResult`, for `cnnbench_judge`: is accuracy as high as in `--cnnbench-baseline`?"""
    return _cnnbench.gate(cnnbench_variant, "cnnbench_accuracy_drop")


@pytest.fixture
def cnnbench_train_accuracy(_cnnbench: Asking, cnnbench_variant: Variant) -> CheckResult:
    """`CheckResult`, for `cnnbench_judge`: is mean training accuracy at least the target?"""
    return _cnnbench.gate(cnnbench_variant, "cnnbench_train_accuracy")


@pytest.fixture
def cnnbench_generalization_gap(_cnnbench: Asking, cnnbench_variant: Variant) -> CheckResult:
    """`CheckResult`, for `cnnbench_judge`: is train minus held-out accuracy at most its limit?"""
    return _cnnbench.gate(cnnbench_variant, "cnnbench_generalization_gap")


@pytest.fixture
def cnnbench_validation_loss_rise(_cnnbench: Asking, cnnbench_variant: Variant) -> CheckResult:
    """`CheckResult`, for `cnnbench_judge`: does validation loss rise little after its best?"""
    return _cnnbench.gate(cnnbench_variant, "cnnbench_validation_loss_rise")


@pytest.fixture
def cnnbench_target(_cnnbench: Asking) -> Callable[[str], float]:
    """Function from `str` to `float`: a threshold by name. Skips the test if it is not stated."""
    return _cnnbench.targets()


@pytest.fixture
def cnnbench_judge(_cnnbench: Asking) -> Callable[[CheckResult], None]:
    """Function that takes a `CheckResult`: records it and fails the test if it did not pass."""
    return _cnnbench.judge


# Speed


@pytest.fixture
def _cnnbench_spot(
    cnnbench_variant: Variant,
    cnnbench_backend: str,
    cnnbench_device: str,
    cnnbench_dtype: str,
    cnnbench_batch_size: int | str,
) -> Spot:
    return Spot(
        variant=variant_of(cnnbench_variant),
        backend=cnnbench_backend,
        device=cnnbench_device,
        dtype=cnnbench_dtype,
        batch_size=cnnbench_batch_size,
    )


@pytest.fixture
def cnnbench_training_throughput(_cnnbench: Asking, _cnnbench_spot: Spot) -> Measurement:
    """`Measurement` of training steps, with `images_per_second`, `round_seconds` and
    `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    return _cnnbench.speed(_cnnbench_spot, "train")


@pytest.fixture
def cnnbench_inference_throughput(_cnnbench: Asking, _cnnbench_spot: Spot) -> Measurement:
    """`Measurement` of inference steps, with `images_per_second`, `latency_seconds` of single
    pictures and `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    return _cnnbench.speed(_cnnbench_spot, "inference")


@pytest.fixture
def cnnbench_measured(
    _cnnbench: Asking, _cnnbench_spot: Spot, cnnbench_workload: Workload
) -> tuple[Measurement, ...]:
    """`tuple` of `Measurement`, for checks: one per process, or per batch size of a sweep."""
    return _cnnbench.measure(_cnnbench_spot, cnnbench_workload)
