"""Data-parallel training over several devices, and one of them beside it."""

from __future__ import annotations

import time
from dataclasses import replace

from cnnbench import devices
from cnnbench.backends import DeviceName
from cnnbench.batches import Pictures
from cnnbench.data_parallel import measure_scaling
from cnnbench.images.dataset import Splits
from cnnbench.measurements import Measurement
from cnnbench.places import Place
from cnnbench.throughput import Plan, blank_row

STEPS_PER_ROUND = 2


def measure_parallel(plan: Plan, splits: Splits, place: Place) -> Measurement:
    """Measures training on one device and on all, each device with a batch of its own.

    Args:
        plan: what is measured; its batch size is that of each device.
        splits: training pictures are the batches.
        place: a device such as `gpu*2`, which this process was started for.

    Returns:
        A record whose batch size is that of all devices together.
    """
    name = DeviceName.parse(place.device)
    devices.reset_peak_memory(place.backend, place.device)
    start = time.perf_counter()
    found = measure_scaling(
        plan.variant,
        Pictures(splits.train_pictures(), splits.train.labels),
        len(splits.classes),
        plan.seed,
        name.count,
        plan.batch_size,
        rounds=plan.rounds,
        warmup_rounds=plan.warmup_rounds,
        steps_per_round=STEPS_PER_ROUND,
        kind=name.kind,
    )
    blank = blank_row(plan, splits, place)
    return replace(
        blank,
        batch_size=plan.batch_size * name.count,
        steps_per_round=found.steps_per_round,
        round_seconds=found.parallel_seconds,
        first_step_seconds=time.perf_counter() - start,
        peak_memory_mb=devices.peak_memory_mb(place.backend, place.device),
        single_device_images_per_second=found.single_images_per_second,
    )
