"""How far a speed is from the limit, and whether two counts of operations agree. Pure."""

from __future__ import annotations

from cnnbench.records.measurements import Peak, Workload

# By how much a backend's count may differ from the products counted from the layers. Backends also
# count elementwise operations: at most 2.5 % of the built-in variants' inference (a layer that is
# forgotten is 6.8 % or more, a convolution that is counted without its channels far more), and
# 5.3 % in training with batch normalization, whose statistics have gradients of their own.
COUNT_TOLERANCE: dict[Workload, float] = {"inference": 0.05, "train": 0.1}


def counts_agree(counted: float, backend_count: float, workload: Workload) -> bool:
    """Returns whether the backend's count is within the tolerance of the one from the layers.

    Args:
        counted: floating point operations a picture, from the layers.
        backend_count: the backend's, a picture.
        workload: which of the tolerances.

    Raises:
        ValueError: if nothing was counted from the layers.
    """
    if not counted > 0:
        raise ValueError(f"Expected a count above 0. Received: counted={counted}")
    return abs(backend_count / counted - 1) <= COUNT_TOLERANCE[workload]


def flops_limit(peak: Peak) -> float | None:
    """Returns the larger of the peaks of matrix product and convolution, or `None`."""
    both = (peak.matmul_flops_per_second, peak.convolution_flops_per_second)
    return max((value for value in both if value is not None), default=None)


def percent_of_peak(images_per_second: float, flops: float | None, peak: Peak) -> float | None:
    """Returns how much of the peak a speed uses, in percent, or `None` where one is unknown.

    Args:
        images_per_second: the measured speed.
        flops: floating point operations a picture, counted from the layers.
        peak: of the same backend, device, dtype and number of threads.
    """
    limit = flops_limit(peak)
    if flops is None or limit is None:
        return None
    return 100 * images_per_second * flops / limit
