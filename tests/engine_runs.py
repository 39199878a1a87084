"""Measures with a backend in a process of its own, rightly and wrongly on purpose.

`python engine_runs.py BACKEND MANIFEST REFERENCE` prints what it found as JSON: the test process
itself has Keras on TensorFlow, and a process has one backend.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cnnbench.machine.backends import Place, limit_threads
from cnnbench.models.variants import VARIANTS
from cnnbench.pictures.batches import Pictures
from cnnbench.pictures.data_set import Splits
from cnnbench.records.journal import encode
from cnnbench.records.records import Measurement, Row, TimingProof, Workload
from cnnbench.speed import peaks, throughput, timing
from cnnbench.speed.engines.engine import engine_for
from cnnbench.speed.timing import Step, prove_timing

VARIANT, BATCH_SIZE = VARIANTS["single-block"], 8
# What makes rounds and latencies so short that a test has time for them.
SHORT = (
    (timing, "MINIMUM_ROUND_SECONDS", 0.01),
    (throughput, "LATENCY_CALLS", 5),
    (throughput, "LATENCY_WARMUP_CALLS", 1),
)


def measured(
    backend: str, splits: Splits, reference: Path, workload: Workload, dtype: str = "float32"
) -> Measurement:
    """Measures two rounds, and compares answers with the reference."""
    return throughput.measure_row(
        VARIANT,
        Row(VARIANT.name, workload, dtype, BATCH_SIZE, 0),
        splits,
        Place(backend, "cpu", 1),
        rounds=2,
        warmup_rounds=1,
        reference=reference,
    )


def records(backend: str, splits: Splits, reference: Path) -> dict[str, Measurement]:
    """Measures what every backend of Keras can."""
    return {
        "train": measured(backend, splits, reference, "train"),
        "inference": measured(backend, splits, reference, "inference"),
        "bfloat16": measured(backend, splits, reference, "inference", "bfloat16"),
    }


def counts(backend: str) -> list[tuple[Workload, float | None, float | None]]:
    """Returns the operations of a variant, from the layers and by the backend."""
    from cnnbench.speed.engines.keras_model import model_of
    from cnnbench.speed.flops import inference_flops, training_flops

    engine = engine_for(Place(backend, "cpu", 1))
    model = model_of(VARIANTS["batchnorm"], 0, (64, 64, 3), 2)
    counted = (("inference", inference_flops), ("train", training_flops))
    return [
        (workload, count(model), engine.program(model, workload).backend_flops())
        for workload, count in counted
    ]


def begun(backend: str, splits: Splits, workload: Workload) -> tuple[Any, Step]:
    """Returns an engine and a step of its program, which is compiled."""
    engine, row = engine_for(Place(backend, "cpu", 1)), Row("", workload, "float32", 32, 0)
    program = throughput.program_for(engine, VARIANT, row, splits)
    inputs = program.inputs(Pictures(splits.train_pictures()[:32], splits.train.labels[:32]))
    program.run(*inputs)
    return engine, lambda: program.run(*inputs)


def not_waited_for(backend: str, splits: Splits) -> TimingProof:
    """Returns the proof of a timer that does not wait for inference."""
    engine, step = begun(backend, splits, "inference")
    return prove_timing(step, lambda outputs: None, engine.get, 64)


def compiled_again(splits: Splits) -> int:
    """Returns how many programs JAX compiles for the steps after the first."""
    import jax

    compiled: list[str] = []
    _, step = begun("jax", splits, "train")
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event)
    )
    step()
    return sum("backend_compile" in event for event in compiled)


def main(backend: str, manifest: str, reference: str) -> None:

    limit_threads(backend, 1)
    for module, name, value in SHORT:
        setattr(module, name, value)
    splits = Splits.open(Path(manifest))
    found = records(backend, splits, Path(reference))
    proof = not_waited_for(backend, splits)
    found["not waited for"] = replace(found["inference"], timing=proof)
    peaks.LADDERS["matmul"] = peaks.Ladder(64, 64, float)
    peaks.LADDERS["convolution"] = peaks.Ladder(1, 1, float)
    told = {
        "records": {name: encode(record) for name, record in found.items()},
        "counts": counts(backend),
        "peaks": {
            dtype: asdict(peaks.measure_peak(Place(backend, "cpu", 1), dtype, seconds=0))
            for dtype in ("float32", "bfloat16", "int8")
        },
        "compiled_again": compiled_again(splits) if backend == "jax" else 0,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
