"""The plugin's fixtures of speed. A table of contents, as `plugin` is, and loaded with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin import speed_fixtures as speed

if TYPE_CHECKING:
    from cnnbench.models.variants import Variant
    from cnnbench.records.measurements import Measurement, Workload


@pytest.fixture
def cnnbench_workload(request: pytest.FixtureRequest) -> str:
    """`train` or `inference`; a test that asks for it runs once for each."""
    return str(request.param)


@pytest.fixture
def cnnbench_backend(request: pytest.FixtureRequest) -> str:
    """Backend to measure; a test that asks for it runs once for each.

    Skips the test if it is not installed, and names the extra that installs it.
    """
    return speed.present(request)


@pytest.fixture
def cnnbench_device(request: pytest.FixtureRequest) -> str:
    """Device to measure on, `cpu`, `gpu` or `gpu:1`; a test runs once for each.

    Skips the test if the backend does not see the device.
    """
    return speed.present(request)


@pytest.fixture
def cnnbench_dtype(request: pytest.FixtureRequest) -> str:
    """What models compute in; a test that asks for it runs once for each."""
    return str(request.param)


@pytest.fixture
def cnnbench_batch_size(request: pytest.FixtureRequest) -> int | str:
    """Pictures per step, or `sweep`; a test that asks for it runs once for each."""
    size: int | str = request.param
    return size


@pytest.fixture
def cnnbench_training_throughput(
    request: pytest.FixtureRequest,
    cnnbench_variant: Variant,
    cnnbench_backend: str,
    cnnbench_device: str,
    cnnbench_dtype: str,
    cnnbench_batch_size: int | str,
    benchmark: Any,
) -> Measurement:
    """Measured training steps. Benchmarks seconds per picture, so OPS are pictures per second."""
    return speed.throughput(request, benchmark, cnnbench_variant, "train")


@pytest.fixture
def cnnbench_inference_throughput(
    request: pytest.FixtureRequest,
    cnnbench_variant: Variant,
    cnnbench_backend: str,
    cnnbench_device: str,
    cnnbench_dtype: str,
    cnnbench_batch_size: int | str,
    benchmark: Any,
) -> Measurement:
    """Measured inference steps. Benchmarks seconds per picture, so OPS are pictures per second."""
    return speed.throughput(request, benchmark, cnnbench_variant, "inference")


@pytest.fixture
def cnnbench_measured(
    request: pytest.FixtureRequest,
    cnnbench_workload: Workload,
    cnnbench_variant: Variant,
    cnnbench_backend: str,
    cnnbench_device: str,
    cnnbench_dtype: str,
    cnnbench_batch_size: int | str,
    benchmark: Any,
) -> tuple[Measurement, ...]:
    """What was measured, for checks: one per process, or one per batch size of a sweep.

    It requests `benchmark` and leaves its use to the test: the throughput fixtures show the rounds.
    """
    return speed.measured(request, cnnbench_variant, cnnbench_workload)
