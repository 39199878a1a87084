"""Measures in a process of its own with any backend, rightly and wrongly on purpose.

`python engine_runs.py BACKEND MANIFEST FOLDER` prints a record a line, each with its name: the test
process itself has Keras on TensorFlow, and a process has one backend.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BATCH_SIZE = 32


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Puts another attribute in place for as long as it lasts."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def main(backend: str, manifest: str, folder: str) -> None:
    from cnnbench.machine.devices import limit_threads

    limit_threads(backend, 1)
    from cnnbench.machine.place import Place
    from cnnbench.models.variants import VARIANTS
    from cnnbench.pictures.data_set import Splits
    from cnnbench.records.codec import encode
    from cnnbench.records.measurements import Row
    from cnnbench.speed import throughput
    from cnnbench.speed.engines import keras_model
    from cnnbench.speed.engines.choice import engine_for

    throughput.LATENCY_CALLS = 5  # a slow machine has time for more, a test has not
    throughput.LATENCY_WARMUP_CALLS = 1
    splits = Splits.open(Path(manifest))

    def told(name: str, workload: Any, dtype: str = "float32") -> None:
        record = throughput.measure_row(
            VARIANTS["single-block"],
            Row("single-block", workload, dtype, BATCH_SIZE, 0),
            splits,
            Place(backend, "cpu", 1),
            rounds=1,
            warmup_rounds=0,
            reference=Path(folder) / f"{workload}.npz",
        )
        print(json.dumps({"name": name, "record": encode(record)}), flush=True)

    told("train", "train")
    told("inference", "inference")
    told("bfloat16", "inference", "bfloat16")

    real: Callable[..., Any] = keras_model.model_of

    def in_bfloat16(
        variant: Any, seed: int, shape: Any, classes: int, dtype: str, *rest: Any
    ) -> Any:
        return real(variant, seed, shape, classes, "bfloat16", *rest)

    with replaced(keras_model, "model_of", in_bfloat16):
        told("wrong dtype", "inference")

    def perturbed(*arguments: Any) -> Any:
        model = real(*arguments)
        model.set_weights([-weight for weight in model.get_weights()])
        return model

    with replaced(keras_model, "model_of", perturbed):
        told("wrong weights", "inference")

    engine = type(engine_for(Place(backend, "cpu", 1)))
    with replaced(engine, "synchronize", lambda self, outputs: None):
        told("not waited for", "inference")


if __name__ == "__main__":
    main(*sys.argv[1:])
