"""What a backend reaches at best: the limits that speeds are compared with."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, gpus, kind_of
from cnnbench.records.records import Peak
from cnnbench.speed.engines.engine import engine_for
from cnnbench.speed.timing import Clock, Step, time_calls

CALL_SECONDS = 0.02  # long beside reading the clock, launching a kernel and waiting for it
FEWEST_CALLS = 3

# A convolution as in a CNN: 64 to 64 channels, 56x56 outputs. The inputs are larger instead of
# padded, so that nothing is counted that is not multiplied.
KERNEL, CHANNELS, SIDE = 3, 64, 56
INPUT_SIDE = SIDE + KERNEL - 1
CONVOLUTION_FLOPS = 2 * SIDE**2 * CHANNELS**2 * KERNEL**2  # a picture


@dataclass(frozen=True)
class Ladder:
    """Sizes to try, each double the one before, and the operations of one call."""

    smallest: int
    largest: int
    work: Callable[[int], float]


LADDERS = {
    "matmul": Ladder(512, 8192, lambda size: 2.0 * size**3),
    "convolution": Ladder(1, 512, lambda batch: float(CONVOLUTION_FLOPS * batch)),
}


def measure_peak(place: Place, dtype: str, seconds: float = 0.7) -> Peak:
    """Measures a square matrix product and a convolution in this process, half of the time each.

    Nothing is computed beforehand: arrays are arguments of the compiled programs, or weights as a
    network has them (OpenVINO, ONNX Runtime).
    """
    rates: dict[str, float | None] = dict.fromkeys(LADDERS)
    if kind_of(place.device) == "cpu" or gpus(place.backend):
        make = _with_keras if place.backend in TRAINING_BACKENDS else _exported
        engine = engine_for(place)
        for work, ladder in LADDERS.items():
            call_of = partial(make, engine, dtype, work)
            rates[work] = best_rate(call_of, ladder, seconds=seconds / 2)
    return Peak(place, dtype, rates["matmul"], rates["convolution"])


def best_rate(
    make: Callable[[int], Step],
    ladder: Ladder,
    *,
    seconds: float,
    clock: Clock = time.perf_counter,
) -> float | None:
    """Returns the highest work per second over sizes and calls; `None` if the smallest size fails.

    A limit is what the machine can do when nothing disturbs it, so that the shortest call counts.
    The size is doubled until a call takes `CALL_SECONDS`, and that size is repeated while `seconds`
    last. The first call of each size, which compiles and allocates, is not timed.

    `make` returns a function that does the work of a size. One that has begun is called at least
    once.
    """
    end = clock() + seconds
    best: float | None = None
    size, took = ladder.smallest, 0.0
    with suppress(Exception):  # whatever a backend raises for what it can't, or for full memory
        while took < CALL_SECONDS and size <= ladder.largest and (best is None or clock() < end):
            call, work = make(size), ladder.work(size)
            call()
            # A slow call may have been disturbed, but one of seconds is not worth another.
            took = _shortest(call, 1, clock)
            if took < seconds / FEWEST_CALLS:
                took = min(took, _shortest(call, FEWEST_CALLS - 1, clock))
            best = max(best or 0.0, work / took)
            size *= 2
        if (calls := int((end - clock()) / took)) > 0:
            best = max(best or 0.0, work / _shortest(call, calls, clock))
    return best


def _shortest(call: Step, calls: int, clock: Clock) -> float:
    return max(min(time_calls(call, calls, clock)), 1e-9)


def _with_keras(engine: Any, dtype: str, work: str, size: int) -> Step:
    from keras import ops

    shapes: list[tuple[int, ...]] = [(size, size), (size, size)]
    run = engine.compiled(ops.matmul)
    if work == "convolution":
        if dtype == "int8":
            raise ValueError("Keras has no int8 convolution")
        shapes = [(size, INPUT_SIDE, INPUT_SIDE, CHANNELS), (KERNEL, KERNEL, CHANNELS, CHANNELS)]
        run = engine.compiled(lambda x, kernel: ops.conv(x, kernel, padding="valid"))
    # Ones: neither denormal numbers nor infinities, which some CPUs are slow with.
    arrays = [ops.ones(shape, dtype) for shape in shapes]
    return lambda: engine.synchronize([run(*arrays)])


def _exported(engine: Any, dtype: str, work: str, size: int) -> Step:
    """Returns the work as a network of one layer, whose second operand is its weight."""
    from cnnbench.speed.engines.onnx_export import write_product

    kind = "MatMul"
    inputs: tuple[int, ...] = (size, size)
    weights: tuple[int, ...] = (size, size)
    if work == "convolution":
        kind = "Conv"
        inputs = (size, CHANNELS, INPUT_SIDE, INPUT_SIDE)
        weights = (CHANNELS, CHANNELS, KERNEL, KERNEL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "product.onnx")
        write_product(path, kind, inputs, weights, int8=dtype == "int8")
        program = engine.program(path, dtype, size)
    if program.placement().compute_dtypes != (dtype,):
        raise ValueError(f"It computes in another dtype. Received: dtype={dtype!r}")
    tensor = engine.put(np.ones(inputs, np.uint8 if dtype == "int8" else np.float32))
    return lambda: program.compute(tensor)
