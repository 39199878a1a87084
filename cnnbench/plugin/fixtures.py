"""The fixtures. `pytest --fixtures` shows the first paragraph of each docstring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.clock import show_rounds
from cnnbench.plugin.gates import no_target
from cnnbench.plugin.items import options_of, variant_of
from cnnbench.plugin.running import (
    Request,
    Spot,
    gate_result,
    judge,
    running_of,
    sanity_run,
    show_speed,
    training_run,
    usable,
)

if TYPE_CHECKING:
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.records.checks import CheckResult
    from cnnbench.records.measurements import Measurement, Workload
    from cnnbench.records.runs import DataSet, SanityRun, TrainingRun

# What a test is about: each of these runs it once for each value of its option


@pytest.fixture
def cnnbench_variant(request: Request) -> Variant:
    """`Variant` under test; its `name` is in the test's id. The test runs once for each variant."""
    return variant_of(request.param)


@pytest.fixture
def cnnbench_seed(request: Request) -> int:
    """`int`: seed of the training run. The test runs once for each seed."""
    return int(request.param)


@pytest.fixture
def cnnbench_workload(request: Request) -> Workload:
    """`"train"` or `"inference"`. The test runs once for each."""
    workload: Workload = request.param
    return workload


@pytest.fixture
def cnnbench_backend(request: Request) -> str:
    """`str`: backend to measure, such as `"tensorflow"`. The test runs once for each backend."""
    return str(request.param)


@pytest.fixture
def cnnbench_device(request: Request) -> str:
    """`str`: device to measure, `"cpu"`, `"gpu"` or `"gpu:1"`. The test runs once for each device.

    A test that measures is skipped if its backend does not see the device.
    """
    return str(request.param)


@pytest.fixture
def cnnbench_dtype(request: Request) -> str:
    """`str`: what models compute in, such as `"float32"`. The test runs once for each dtype."""
    return str(request.param)


@pytest.fixture
def cnnbench_batch_size(request: Request) -> int | str:
    """`int`: pictures per step, or `"sweep"`. The test runs once for each batch size."""
    size: int | str = request.param
    return size


# Pictures


@pytest.fixture
def cnnbench_data(request: Request) -> DataSet:
    """`DataSet`: the pictures of this session, with `name`, `classes`, `content_hash`,
    `input_shape`, `train_pictures`, `validation_names` and `validation_labels`.
    """
    return usable(request).data_set


@pytest.fixture
def cnnbench_held_out(request: Request, benchmark: Any) -> tuple[str, ...]:
    """`tuple` of `str`: a line for each picture that is on both sides. Benchmarks reading them."""
    session = running_of(request).session
    show_rounds(request, benchmark, [session.load_seconds])
    if session.leaks:
        request.session.shouldfail = "the held-out set is not held out"
    return tuple(session.leaks)


@pytest.fixture
def cnnbench_near_duplicates(request: Request, benchmark: Any) -> NearDuplicates:
    """`NearDuplicates`: `pairs` and `look_alikes`, tuples of the names of a training and a
    held-out picture. Benchmarks comparing the pictures.
    """
    session = usable(request)
    start = time.perf_counter()
    found = session.near_duplicates
    show_rounds(request, benchmark, [time.perf_counter() - start])
    return found


# Trainings


@pytest.fixture
def cnnbench_run(
    request: Request, cnnbench_variant: Variant, cnnbench_seed: int, benchmark: Any
) -> TrainingRun:
    """`TrainingRun`: the training of this variant under this seed, with `val_accuracy`,
    `train_accuracy`, `generalization_gap`, `val_loss`, `history` and `seconds`. Benchmarks its
    seconds.
    """
    run = training_run(request, cnnbench_variant, cnnbench_seed)
    show_rounds(request, benchmark, [run.seconds])
    benchmark.extra_info.update(
        variant=run.variant,
        seed=run.seed,
        accuracy=run.val_accuracy,
        generalization_gap=run.generalization_gap,
        # With validation, and beside another training: no measure of throughput.
        images_per_second=run.epochs * run.steps_per_epoch * run.batch_size / run.seconds,
    )
    return run


@pytest.fixture
def cnnbench_runs(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> tuple[TrainingRun, ...]:
    """`tuple` of `TrainingRun`: the trainings of this variant, one per seed.

    It requests `benchmark`, so that `--benchmark-only` skips no check, and leaves its use to
    the test: the seconds of these runs are `cnnbench_run`'s to show.
    """
    seeds = options_of(request.node).seeds
    return tuple(training_run(request, cnnbench_variant, seed) for seed in seeds)


@pytest.fixture
def cnnbench_memorization(request: Request, cnnbench_variant: Variant, benchmark: Any) -> SanityRun:
    """`SanityRun`: the training on one tiny batch, with its `accuracy` and `loss` on that batch.
    Benchmarks its seconds.
    """
    return sanity_run(request, benchmark, cnnbench_variant, "memorization")


@pytest.fixture
def cnnbench_shuffled_labels(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> SanityRun:
    """`SanityRun`: the training on shuffled labels, with its held-out `accuracy` and `loss`.
    Benchmarks its seconds.
    """
    return sanity_run(request, benchmark, cnnbench_variant, "shuffled_labels")


# Gates. Each trains as many seeds as needed, up to `--cnnbench-max-seeds`, and shares
# `--cnnbench-alpha` with all gates of the session.


@pytest.fixture
def cnnbench_accuracy(request: Request, cnnbench_variant: Variant, benchmark: Any) -> CheckResult:
    """`CheckResult` of the accuracy gate: is mean held-out accuracy over seeds at least the
    target? Pass it to `cnnbench_judge`. Skips the test if no target is stated.
    """
    return gate_result(request, cnnbench_variant)


@pytest.fixture
def cnnbench_accuracy_drop(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """`CheckResult` of the gate against `--cnnbench-baseline`: is the accuracy lower than it was?
    Pass it to `cnnbench_judge`. Skips the test if the variant has no baseline.
    """
    return gate_result(request, cnnbench_variant)


@pytest.fixture
def cnnbench_train_accuracy(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """`CheckResult` of the gate on training accuracy, where wrong labels show first. Pass it to
    `cnnbench_judge`. Skips the test if no target is stated.
    """
    return gate_result(request, cnnbench_variant)


@pytest.fixture
def cnnbench_generalization_gap(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """`CheckResult` of the overfitting gate: is train minus held-out accuracy at most its limit?
    Pass it to `cnnbench_judge`.
    """
    return gate_result(request, cnnbench_variant)


@pytest.fixture
def cnnbench_validation_loss_rise(
    request: Request, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """`CheckResult` of the gate on validation loss: is its rise after the best epoch at most its
    limit? Pass it to `cnnbench_judge`.
    """
    return gate_result(request, cnnbench_variant)


@pytest.fixture
def cnnbench_target(request: Request) -> Callable[[str], float]:
    """Function from `str` to `float`: returns a threshold by name, for this session's pictures
    and this test's variant. Skips the test if it is not stated.
    """
    data = usable(request).data_set.name
    targets = running_of(request).targets_of(request.node)
    known = "cnnbench_variant" in request.fixturenames
    variant = variant_of(request.getfixturevalue("cnnbench_variant")).name if known else ""

    def target(name: str) -> float:
        value = targets.get(name, data, variant)
        if value is None:
            pytest.skip(no_target(name, data, variant))
        return value

    return target


@pytest.fixture
def cnnbench_judge(request: Request) -> Callable[[CheckResult], None]:
    """Function that takes a `CheckResult`: records it and fails the test if it did not pass."""
    running_of(request)
    return lambda result: judge(request, result)


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
        variant_of(cnnbench_variant),
        cnnbench_backend,
        cnnbench_device,
        cnnbench_dtype,
        cnnbench_batch_size,
    )


@pytest.fixture
def cnnbench_training_throughput(
    request: Request, _cnnbench_spot: Spot, benchmark: Any
) -> Measurement:
    """`Measurement` of training steps, with `images_per_second`, `round_seconds` and
    `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    found = _cnnbench_spot.measure(request, benchmark, "train")
    return show_speed(request, benchmark, found)


@pytest.fixture
def cnnbench_inference_throughput(
    request: Request, _cnnbench_spot: Spot, benchmark: Any
) -> Measurement:
    """`Measurement` of inference steps, with `images_per_second`, `latency_seconds` of single
    pictures and `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    found = _cnnbench_spot.measure(request, benchmark, "inference")
    return show_speed(request, benchmark, found)


@pytest.fixture
def cnnbench_measured(
    request: Request, _cnnbench_spot: Spot, cnnbench_workload: Workload, benchmark: Any
) -> tuple[Measurement, ...]:
    """`tuple` of `Measurement`, for checks: one per process, or per batch size of a sweep.

    It leaves `benchmark` to the test: the throughput fixtures show the rounds.
    """
    return _cnnbench_spot.measure(request, benchmark, cnnbench_workload)
