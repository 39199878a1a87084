"""Measures with a backend in a process of its own, rightly and wrongly on purpose.

`python engine_runs.py BACKEND MANIFEST FOLDER` prints what it found as JSON: the test process
itself has Keras on TensorFlow, and a process has one backend.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.data_set import Splits
from cnnbench.records.codec import encode
from cnnbench.records.measurements import Measurement, Row, Workload
from cnnbench.speed import peaks, throughput
from cnnbench.speed.engines.choice import engine_for, program_for

VARIANT, BATCH_SIZE = VARIANTS["single-block"], 8
COUNTED = ("documented", "batchnorm", "augmented")
ROWS: tuple[tuple[str, Workload, str], ...] = (
    ("train", "train", "float32"),
    ("inference", "inference", "float32"),
    ("bfloat16", "inference", "bfloat16"),
)


def measured(
    backend: str, splits: Splits, folder: Path, workload: Workload, dtype: str = "float32"
) -> Measurement:
    """Measures two rounds, compared with the reference in the folder."""
    return throughput.measure_row(
        VARIANT,
        Row(VARIANT.name, workload, dtype, BATCH_SIZE, 0),
        splits,
        Place(backend, "cpu", 1),
        rounds=2,
        warmup_rounds=1,
        reference=folder / f"{workload}.npz",
    )


def counts(backend: str) -> list[tuple[str, Workload, float | None, float | None]]:
    """Returns the operations of variants, from the layers and by the backend."""
    from cnnbench.speed.engines.keras_model import model_of
    from cnnbench.speed.flops import inference_flops, training_flops

    found: list[tuple[str, Workload, float | None, float | None]] = []
    engine: Any = engine_for(Place(backend, "cpu", 1))
    for name in COUNTED:
        model = model_of(VARIANTS[name], 0, (64, 64, 3), 2)
        for workload, count in (("inference", inference_flops), ("train", training_flops)):
            counted = engine.program(model, workload).backend_flops()
            found.append((name, workload, count(model), counted))
    return found


def main(backend: str, manifest: str, folder: str) -> None:
    from cnnbench.machine.devices import limit_threads

    limit_threads(backend, 1)
    throughput.LATENCY_CALLS, throughput.LATENCY_WARMUP_CALLS = 5, 1
    splits = Splits.open(Path(manifest))
    records = {
        name: measured(backend, splits, Path(folder), workload, dtype)
        for name, workload, dtype in ROWS
    }
    place = Place(backend, "cpu", 1)
    peaks.LADDERS["matmul"] = peaks.Ladder(64, 64, float)
    peaks.LADDERS["convolution"] = peaks.Ladder(1, 1, float)
    found = {
        "counts": counts(backend),
        "peaks": {
            dtype: asdict(peaks.measure_peak(place, dtype, seconds=0))
            for dtype in ("float32", "bfloat16", "int8")
        },
        "compiled_again": compiled_again(splits) if backend == "jax" else 0,
    }
    engine = type(engine_for(place))
    engine.synchronize = lambda self, outputs: None  # type: ignore[method-assign]
    records["not waited for"] = measured(backend, splits, Path(folder), "inference")
    found["records"] = {name: encode(record) for name, record in records.items()}
    print(json.dumps(found))


def compiled_again(splits: Splits) -> int:
    """Returns how many programs JAX compiles for the steps after the first."""
    import jax

    from cnnbench.pictures.batches import Pictures, drawn_batch

    engine = engine_for(Place("jax", "cpu", 1))
    program = program_for(
        engine, VARIANT, Row(VARIANT.name, "train", "float32", BATCH_SIZE, 0), splits
    )
    side = Pictures(splits.train_pictures(), splits.train.labels)
    inputs = program.inputs(drawn_batch(side, BATCH_SIZE, 0))
    program.run(*inputs)
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event)
    )
    program.run(*inputs)
    program.run(*inputs)
    return sum("backend_compile" in event for event in compiled)


if __name__ == "__main__":
    main(*sys.argv[1:])
