"""Does cnnbench report the speed that a loop written by hand has? Both in turn, round by round.

    python reports/benchmarks/handwritten_loops.py --backends jax,torch --out handwritten.csv

The documented network at batch size 32 on the CPU, float32. Each fresh process builds cnnbench's
program and the loop of `handwritten/on_<backend>.py` from the same weights, requires that both
compute the same, and times rounds of about 70 ms of either, in an order drawn for each pair of
rounds. A ratio is cnnbench's images per second over the loop's; its 95 % interval is Student's t
over the processes' median logarithms, since rounds of one process share its memory layout.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cnnbench.machine.backends import BACKENDS, TRAINING_BACKENDS, Place, worker_environment
from cnnbench.models.variants import variant_named
from cnnbench.speed.engines.engine import engine_for
from cnnbench.speed.timing import time_steps
from cnnbench.stats.intervals import mean_of

VARIANT = variant_named("documented")
SHAPE, BATCH_SIZE, SEED = (64, 64, 3), 32, 0
ROUND_SECONDS = 0.07
WARMUP_PAIRS = 3
COMPARED_STEPS = 5
TOLERANCE = 1e-5

# Makes so many steps; returns the seconds that they took.
Timer = Callable[[int], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--workloads", default="train,inference")
    parser.add_argument("--processes", type=int, default=10, help="fresh ones, for each row")
    parser.add_argument("--pairs", type=int, default=12, help="of rounds, in each process")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the printed rows, as CSV")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.child:
        backend, workload, seed, exported = parsed.child
        found = measured(backend, workload, int(seed), Path(exported), parsed)
        print(json.dumps(found), flush=True)
        return
    rows = list(rows_of(parsed))
    if parsed.out:
        with parsed.out.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def rows_of(parsed: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measures and prints a row for each backend and workload."""
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "network.onnx"
        for backend in parsed.backends.split(","):
            for workload in parsed.workloads.split(","):
                if workload == "train" and backend not in TRAINING_BACKENDS:
                    continue
                if backend not in TRAINING_BACKENDS and not exported.exists():
                    child("tensorflow", "export", 0, exported, parsed)
                found = [
                    child(backend, workload, seed, exported, parsed)
                    for seed in range(parsed.processes)
                ]
                row = row_of(backend, workload, found)
                print(row, flush=True)
                yield row


def child(
    backend: str, workload: str, seed: int, exported: Path, parsed: argparse.Namespace
) -> dict[str, Any]:
    """Returns what a fresh process measured."""
    command = [sys.executable, __file__]
    command += ["--pairs", str(parsed.pairs), "--threads", str(parsed.threads)]
    command += ["--child", backend, workload, str(seed), str(exported)]
    variables = worker_environment(Place(backend, "cpu", parsed.threads))
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row_of(backend: str, workload: str, processes: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what is printed of one backend and workload."""
    logs = [
        median(math.log(b / a) for a, b in zip(one["cnnbench"], one["by_hand"], strict=True))
        for one in processes
    ]
    mean = mean_of(logs)
    interval = mean.interval()
    return {
        "backend": backend,
        "workload": workload,
        "processes": len(processes),
        "ratio": f"{math.exp(mean.value):.4f}",
        "low": f"{math.exp(interval.low):.4f}",
        "high": f"{math.exp(interval.high):.4f}",
        "largest_difference": f"{max(one['difference'] for one in processes):.1e}",
        "backend_version": version(backend),
        "keras_version": version("keras"),
    }


def measured(
    backend: str, workload: str, seed: int, exported: Path, parsed: argparse.Namespace
) -> dict[str, Any]:
    """Measures both in this process; `export` writes the ONNX file instead."""
    from cnnbench.machine.backends import limit_threads
    from cnnbench.models.network import seeded_model
    from cnnbench.speed.engines.onnx_export import export_onnx

    if workload == "export":
        export_onnx(seeded_model(VARIANT, SEED, SHAPE, 2), exported, SHAPE)
        return {}
    limit_threads(backend, parsed.threads)
    rng = np.random.default_rng(SEED)
    pictures = rng.integers(256, size=(BATCH_SIZE, *SHAPE), dtype=np.uint8)
    given: list[Any] = [pictures]
    if workload == "train":
        given.append(rng.integers(2, size=(BATCH_SIZE, 1)).astype(np.float32))
    is_exported = backend not in TRAINING_BACKENDS
    engine = engine_for(Place(backend, "cpu", parsed.threads))
    if is_exported:
        source = str(exported)
        program = engine.program(exported, "float32", BATCH_SIZE)
    else:
        from cnnbench.speed.engines.keras_model import model_of

        source = seeded_model(VARIANT, SEED, SHAPE, 2)
        program = engine.program(model_of(VARIANT, SEED, SHAPE, 2), workload)
    inputs = [engine.put(each) for each in given]
    by_hand = importlib.import_module(f"handwritten.on_{backend}")
    make = by_hand.training if workload == "train" else by_hand.inference
    loop = make(source, *given, parsed.threads)

    ours = [engine.get(program.run(*inputs)) for _ in range(COMPARED_STEPS)]
    if workload == "train":  # Keras' training steps return the mean loss of all steps so far
        sums = [count * float(mean) for count, mean in enumerate(ours, start=1)]
        ours = [np.asarray(b - a) for a, b in zip([0.0, *sums], sums, strict=False)]
    theirs = [loop(1)[1] for _ in range(COMPARED_STEPS)]
    apart = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    if not apart <= TOLERANCE:
        raise ValueError(
            f"The two do not compute the same. Expected answers within {TOLERANCE}. "
            f"Received: difference={apart}"
        )
    timers: dict[str, Timer] = {
        "cnnbench": lambda steps: time_steps(
            lambda: program.run(*inputs), steps, engine.synchronize
        ),
        "by_hand": lambda steps: float(loop(steps)[0]),
    }
    return {"difference": apart, **timed(timers, parsed.pairs, seed)}


def timed(timers: dict[str, Timer], pairs: int, seed: int) -> dict[str, list[float]]:
    """Returns the seconds of each round of both, the order of each pair drawn by lot."""
    steps = 1
    while min(time(steps) for time in timers.values()) < ROUND_SECONDS:
        steps *= 2
    found: dict[str, list[float]] = {name: [] for name in timers}
    order, rng = list(timers), random.Random(seed)
    for pair in range(-WARMUP_PAIRS, pairs):
        rng.shuffle(order)
        for name in order:
            timers[name](1)  # its threads are awake and its data is in the caches
            seconds = timers[name](steps)
            if pair >= 0:
                found[name].append(seconds)
    return found


if __name__ == "__main__":
    main()
