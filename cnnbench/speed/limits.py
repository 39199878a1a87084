"""How far a speed is from the limit, and how far two counts of operations may differ. Pure."""

from __future__ import annotations

from cnnbench.records.records import Peak, Workload

# By how much a backend's count may differ from the products counted from the layers. Backends also
# count elementwise operations: at most 2.5 % of the built-in variants' inference (a layer that is
# forgotten is 6.8 % or more, a convolution that is counted without its channels far more), and
# 5.3 % in training with batch normalization, whose statistics have gradients of their own.
COUNT_TOLERANCE: dict[Workload, float] = {"inference": 0.05, "train": 0.1}


def percent_of_peak(images_per_second: float, flops: float | None, peak: Peak) -> float | None:
    """Returns how much of the peak a speed uses, in percent, or `None` where one is unknown.

    Args:
        images_per_second: the measured speed.
        flops: floating point operations per picture, counted from the layers.
        peak: of the same place and dtype; the faster of its works is the limit.
    """
    both = (peak.matmul_flops_per_second, peak.convolution_flops_per_second)
    limit = max((value for value in both if value is not None), default=None)
    if flops is None or limit is None:
        return None
    return 100 * images_per_second * flops / limit
