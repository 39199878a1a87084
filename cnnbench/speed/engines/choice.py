"""The engine of a place, and the program of a row."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cnnbench.machine.backends import Place
from cnnbench.models.variants import Variant
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Row
from cnnbench.speed.engines.engine import HostEngine, Program

ENGINES = {
    "tensorflow": "TensorFlowEngine",
    "jax": "JaxEngine",
    "torch": "TorchEngine",
    "openvino": "OpenVinoEngine",
    "onnxruntime": "OnnxRuntimeEngine",
}


def engine_for(place: Place) -> Any:
    """Returns the `Engine` of this process; it imports the backend."""
    module = importlib.import_module(f"cnnbench.speed.engines.on_{place.backend}")
    return getattr(module, ENGINES[place.backend])(place)


def program_for(
    engine: Any,
    variant: Variant,
    row: Row,
    splits: Splits,
    weights: Sequence[npt.NDArray[Any]] | None = None,
    exported: Path | None = None,
) -> Program:
    """Makes the program of a row.

    `weights`, in Keras' order, replace those that the row's seed draws. Engines that do not build
    Keras' models read `exported`, an ONNX file of the same weights.
    """
    if isinstance(engine, HostEngine):
        assert exported is not None
        return engine.program(exported, row.dtype, row.batch_size)
    from cnnbench.speed.engines.keras_model import model_of

    classes = len(splits.classes)
    model = model_of(variant, row.seed, splits.input_shape, classes, row.dtype, weights)
    program: Program = engine.program(model, row.workload)
    return program
