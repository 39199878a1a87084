"""Rows of the tables of speed: what follows from raw seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median, quantiles
from typing import Any

from cnnbench.machine.telemetry import concerns
from cnnbench.records.measurements import Measurement, Peak
from cnnbench.speed.limits import percent_of_peak
from cnnbench.speed.timing import linearity

Row = dict[str, Any]

# The key columns of every table, with their pandas dtypes.
KEY = {
    "variant": "str",
    "seed": "Int64",
    "backend": "str",
    "device": "str",
    "dtype": "str",
    "batch_size": "Int64",
}
_SAME_NAME = ("equal_share", "probability_difference", "accuracy_difference")


def throughput_row(measurement: Measurement, peak: Peak | None = None) -> Row:
    """Returns the derived figures of a measurement.

    Step time is the median over rounds, images per second follow from it, and the
    spread is the interquartile range. Latencies are of single pictures (batch size 1).
    A batch that did not fit into memory has none of them.

    Args:
        measurement: the record.
        peak: of the same backend, device, dtype and threads.
    """
    key = {**asdict(measurement.row), **asdict(measurement.place)}
    speeds = _speeds(measurement)
    rate = speeds["images_per_second"]
    flops = measurement.flops_per_picture
    agreement, placement = measurement.agreement, measurement.placement
    telemetry, proof = measurement.telemetry, measurement.timing
    counted = measurement.backend_flops_per_picture
    calls, copies = measurement.latency_seconds, measurement.copy_seconds
    pictures = (
        measurement.row.batch_size * measurement.steps_per_round * len(measurement.round_seconds)
    )
    watts, seconds = telemetry.get("watts"), sum(measurement.round_seconds)
    # Where some layers compute in another dtype (Keras' int8), no single peak is the limit.
    one = placement is None or len(placement.compute_dtypes) == 1
    return {
        **{name: key[name] for name in (*KEY, "workload", "process", "threads")},
        **speeds,
        "latency_p50_ms": median(calls) * 1e3 if calls else None,
        "latency_p90_ms": percentile(calls, 0.9) * 1e3 if calls else None,
        "latency_p99_ms": percentile(calls, 0.99) * 1e3 if calls else None,
        "first_step_seconds": measurement.first_step_seconds,
        "copy_ms": median(copies) * 1e3 if copies else None,
        "peak_memory_mb": measurement.peak_memory_mb,
        "out_of_memory": "yes" if measurement.out_of_memory else "",
        **{name: getattr(agreement, name, None) for name in _SAME_NAME},
        "queue_linearity": linearity(proof),
        "drain_ms": proof.drain_seconds * 1e3 if proof else None,
        "placed_on": "+".join(placement.devices) if placement else "",
        "weight_dtype": "+".join(placement.weight_dtypes) if placement else "",
        "compute_dtype": "+".join(placement.compute_dtypes) if placement else "",
        "tf32": measurement.tf32,
        "flops_per_picture": flops,
        "backend_flops_per_picture": counted,
        "percent_of_peak": percent_of_peak(rate, flops, peak) if rate and peak and one else None,
        "watts": watts,
        "joules_per_1000": watts * seconds / pictures * 1000 if watts and pictures else None,
        "clock_mhz": telemetry.get("clock_mhz_last"),
        "throttled": str(telemetry.get("throttled", "")),
        "concerns": "; ".join(concerns(telemetry)),
        "rounds": len(measurement.round_seconds),
        "steps_per_round": measurement.steps_per_round,
        "warmup_rounds": measurement.warmup_rounds,
        "latency_calls": len(calls),
        "fingerprint": measurement.fingerprint,
        "data_hash": measurement.data_hash,
    }


def _speeds(measurement: Measurement) -> Row:
    steps = [seconds / measurement.steps_per_round for seconds in measurement.round_seconds]
    if not steps:
        return dict.fromkeys(("images_per_second", "step_time_ms", "step_time_iqr_ms"))
    step = median(steps)
    low, _, high = quantiles(steps, n=4, method="inclusive") if len(steps) > 1 else (step,) * 3
    return {
        "images_per_second": measurement.images_per_second,
        "step_time_ms": step * 1e3,
        "step_time_iqr_ms": (high - low) * 1e3,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the nearest-rank percentile: a value that was really measured."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
