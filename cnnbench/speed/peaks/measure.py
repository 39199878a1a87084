"""Measures what a backend reaches at best, inside a process that belongs to that backend."""

from __future__ import annotations

import importlib
import time
from typing import cast

from cnnbench.records.measurements import Peak
from cnnbench.speed.peaks import sizes
from cnnbench.speed.timing import Clock

BACKENDS = ("tensorflow", "jax", "torch", "openvino", "onnxruntime")
DTYPES = ("float32", "bfloat16", "float16", "int8")
DEVICES = ("cpu", "gpu")


def measure(
    backend: str,
    device: str,
    dtype: str,
    threads: int,
    *,
    seconds: float = 0.7,
    clock: Clock = time.perf_counter,
) -> Peak:
    """Measures a matrix product and a convolution, half of the time each.

    The best of several calls counts, each waited for: a limit is what the machine can do when
    nothing disturbs it. Arrays are arguments of the compiled programs, or weights as a network
    has them (OpenVINO, ONNX Runtime), so that nothing is computed beforehand.

    Args:
        backend: one of `BACKENDS`; it is imported here.
        device: `cpu` or `gpu`: the backend's first that is visible to the process.
        dtype: one of `DTYPES`; int8 is multiplied into int32 sums, float16 and bfloat16 into what
            the backend takes.
        threads: of the process, as they were set when it began; OpenVINO and ONNX Runtime, which
            take them as a setting of each model, are given them here.
        seconds: in all, besides compiling.
        clock: returns seconds.

    Returns:
        The peak; `None` for what this backend can't do.

    Raises:
        ValueError: if backend, device or dtype are unknown.
    """
    for name, value, valid in (
        ("backend", backend, BACKENDS),
        ("device", device, DEVICES),
        ("dtype", dtype, DTYPES),
    ):
        if value not in valid:
            raise ValueError(
                f"Unknown {name}. Expected one of {', '.join(valid)}. Received: {name}={value!r}"
            )
    try:
        module = importlib.import_module(f"cnnbench.speed.peaks.on_{backend}")
        bench = cast(sizes.Bench, module.bench(device, dtype, threads))
    except sizes.Unsupported:
        return Peak(backend, device, dtype, threads, None, None)
    matmul, convolution = (
        sizes.best_rate(make, ladder, seconds=seconds / 2, clock=clock)
        for make, ladder in (
            (bench.matmul, sizes.MATMUL),
            (bench.convolution, sizes.CONVOLUTION),
        )
    )
    return Peak(backend, device, dtype, threads, matmul, convolution)
