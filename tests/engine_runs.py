"""Measures with a backend in a process of its own, rightly and wrongly on purpose.

`python engine_runs.py BACKEND MANIFEST REFERENCE TARGET` pickles what it found: the test process
itself has Keras on TensorFlow, and a process has one backend.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from cnnbench.machine.backends import Place, limit_threads
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Measurement, Row, Workload
from cnnbench.speed import peaks, throughput, timing
from cnnbench.speed.engines.engine import engine_for

VARIANT, BATCH_SIZE = VARIANTS["single-block"], 10  # does not divide the held-out pictures
# What makes rounds and latencies so short that a test has time for them.
SHORT = (
    (timing, "MINIMUM_ROUND_SECONDS", 0.01),
    (throughput, "LATENCY_CALLS", 5),
    (throughput, "LATENCY_WARMUP_CALLS", 1),
)


def measured(
    place: Place, splits: Splits, reference: Path, workload: Workload, dtype: str = "float32"
) -> Measurement:
    """Measures two rounds, and compares answers with the reference."""
    return throughput.measure_row(
        VARIANT,
        Row(VARIANT.name, workload, dtype, BATCH_SIZE, 0),
        splits,
        place,
        rounds=2,
        warmup_rounds=1,
        reference=reference,
    )


def everything(place: Place, splits: Splits, reference: Path) -> dict[str, Any]:
    """Measures what every backend of Keras can; counts are from the layers and by the backend."""
    from cnnbench.speed.engines.keras_model import model_of
    from cnnbench.speed.flops import inference_flops, training_flops

    engine, model = engine_for(place), model_of(VARIANTS["batchnorm"], 0, (64, 64, 3), 2)
    counters = {"inference": inference_flops, "train": training_flops}
    return {
        "train": measured(place, splits, reference, "train"),
        "inference": measured(place, splits, reference, "inference"),
        "bfloat16": measured(place, splits, reference, "inference", "bfloat16"),
        "counts": {
            workload: (count(model), engine.program(model, workload).backend_flops())
            for workload, count in counters.items()
        },
    }


def jax_alone(place: Place, splits: Splits) -> dict[str, Any]:
    """Returns what JAX compiles after a first step, and the proof of a timer that does not wait."""
    import jax

    compiled: list[str] = []
    engine = engine_for(place)
    row = Row(VARIANT.name, "train", "float32", 32, 0)
    program = throughput.program_for(engine, VARIANT, row, splits)
    inputs = program.inputs(Pictures(splits.train_pictures()[:32], splits.train.labels[:32]))
    program.run(*inputs)
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event)
    )
    program.run(*inputs)
    again = [event for event in compiled if "backend_compile" in event]
    proof = timing.prove_timing(
        lambda: program.run(*inputs), lambda outputs: None, engine.get, most_steps=64
    )
    return {"compiled again": again, "not waited for": proof}


def main(backend: str, manifest: str, reference: str, target: str) -> None:
    limit_threads(backend, 1)
    for module, name, value in SHORT:
        setattr(module, name, value)
    peaks.LADDERS["matmul"] = peaks.Ladder(64, 64, float)
    peaks.LADDERS["convolution"] = peaks.Ladder(1, 1, float)
    place, splits = Place(backend, "cpu", 1), Splits.open(Path(manifest))
    found = everything(place, splits, Path(reference))
    found["peaks"] = {
        dtype: peaks.measure_peak(place, dtype, seconds=0)
        for dtype in ("float32", "bfloat16", "int8")
    }
    if backend == "jax":
        found |= jax_alone(place, splits)
    Path(target).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
