"""The fixtures. `pytest --fixtures` shows the first paragraph of each docstring."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.asks import Spot, no_target, options_of, targets_of, variant_of
from cnnbench.plugin.running import Asking
from cnnbench.records import records

if TYPE_CHECKING:
    from cnnbench.pictures.near_duplicates import NearDuplicates


@pytest.fixture
def _cnnbench(request: pytest.FixtureRequest, benchmark: Any) -> Asking:
    # It requests `benchmark` so that --benchmark-only skips no test that uses cnnbench.
    return Asking(request, benchmark)


def _parameter(words: str) -> Any:
    def parameter(request: pytest.FixtureRequest) -> Any:
        return request.param

    parameter.__doc__ = f"{words}. The test runs once for each."
    return pytest.fixture(parameter)


cnnbench_variant = _parameter("`Variant` under test; its `name` is in the test's id")
cnnbench_seed = _parameter("`int`: seed of the training run")
cnnbench_workload = _parameter('`"train"` or `"inference"`')
cnnbench_backend = _parameter('`str`: backend to measure, such as `"tensorflow"`')
cnnbench_device = _parameter('`str`: device to measure, such as `"cpu"` or `"gpu:1"`')
cnnbench_dtype = _parameter('`str`: what models compute in, such as `"float32"`')
cnnbench_batch_size = _parameter('`int`: pictures per step, or `"sweep"`')


@pytest.fixture
def cnnbench_data(_cnnbench: Asking) -> records.DataSet:
    """`DataSet`: the pictures of this session, with `name`, `classes`, `content_hash`,
    `input_shape`, `train_pictures`, `validation_names` and `validation_labels`.
    """
    return _cnnbench.session().data_set


@pytest.fixture
def cnnbench_held_out(_cnnbench: Asking) -> tuple[str, ...]:
    """`tuple` of `str`: a line for each picture that is on both sides. Benchmarks reading them."""
    _cnnbench.show([_cnnbench.running.session.load_seconds])
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


@pytest.fixture
def cnnbench_run(
    _cnnbench: Asking, cnnbench_variant: Variant, cnnbench_seed: int
) -> records.TrainingRun:
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
def cnnbench_runs(_cnnbench: Asking, cnnbench_variant: Variant) -> tuple[records.TrainingRun, ...]:
    """`tuple` of `TrainingRun`: the trainings of this variant, one per seed."""
    seeds = options_of(_cnnbench.node).seeds
    return tuple(_cnnbench.training_run(cnnbench_variant, seed) for seed in seeds)


@pytest.fixture
def cnnbench_memorization(_cnnbench: Asking, cnnbench_variant: Variant) -> records.SanityRun:
    """`SanityRun`: training on one tiny batch, with `accuracy` and `loss` on it. Benchmarked."""
    return _cnnbench.sanity_run(cnnbench_variant, "memorization")


@pytest.fixture
def cnnbench_shuffled_labels(_cnnbench: Asking, cnnbench_variant: Variant) -> records.SanityRun:
    """`SanityRun`: training on shuffled labels, with held-out `accuracy`, `loss`. Benchmarked."""
    return _cnnbench.sanity_run(cnnbench_variant, "shuffled_labels")


# Gates. Each trains as many seeds as needed, up to --cnnbench-max-seeds, shares --cnnbench-alpha
# with all gates of the session, and skips the test where there is no target or no baseline.


def _gate(question: str) -> Any:
    def gate(request: Any, _cnnbench: Asking, cnnbench_variant: Variant) -> records.CheckResult:
        return _cnnbench.gate(cnnbench_variant, str(request.fixturename))

    gate.__doc__ = f"`CheckResult`, for `cnnbench_judge`: {question}?"
    return pytest.fixture(gate)


cnnbench_accuracy = _gate("is mean held-out accuracy at least the target")
cnnbench_accuracy_drop = _gate("is accuracy as high as in `--cnnbench-baseline`")
cnnbench_train_accuracy = _gate("is mean training accuracy at least the target")
cnnbench_generalization_gap = _gate("is train minus held-out accuracy at most its limit")
cnnbench_validation_loss_rise = _gate("does validation loss rise little after its best")


@pytest.fixture
def cnnbench_target(request: pytest.FixtureRequest, _cnnbench: Asking) -> Callable[[str], float]:
    """Function from `str` to `float`: a threshold by name. Skips the test if it is not stated."""
    data, targets, variant = _cnnbench.session().data_set.name, targets_of(request.node), ""
    if "cnnbench_variant" in request.fixturenames:
        variant = variant_of(request.getfixturevalue("cnnbench_variant")).name

    def target(name: str) -> float:
        value = targets.get(name, data, variant)
        if value is None:
            pytest.skip(no_target(name, data, variant))
        return value

    return target


@pytest.fixture
def cnnbench_judge(_cnnbench: Asking) -> Callable[[records.CheckResult], None]:
    """Function that takes a `CheckResult`: records it and fails the test if it did not pass."""
    return _cnnbench.judge


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
def cnnbench_training_throughput(_cnnbench: Asking, _cnnbench_spot: Spot) -> records.Measurement:
    """`Measurement` of training steps, with `images_per_second`, `round_seconds` and
    `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    return _cnnbench.speed(_cnnbench_spot, "train")


@pytest.fixture
def cnnbench_inference_throughput(_cnnbench: Asking, _cnnbench_spot: Spot) -> records.Measurement:
    """`Measurement` of inference steps, with `images_per_second`, `latency_seconds` of single
    pictures and `peak_memory_mb`. Benchmarks seconds per picture, so OPS are pictures per second.
    """
    return _cnnbench.speed(_cnnbench_spot, "inference")


@pytest.fixture
def cnnbench_measured(
    _cnnbench: Asking, _cnnbench_spot: Spot, cnnbench_workload: records.Workload
) -> tuple[records.Measurement, ...]:
    """`tuple` of `Measurement`, for checks: one per process, or per batch size of a sweep."""
    return _cnnbench.measure(_cnnbench_spot, cnnbench_workload)
