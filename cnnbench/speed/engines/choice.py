"""The engine of a backend, and the program that it makes of a variant."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cnnbench.machine.backends import TRAINING_BACKENDS, kind_of
from cnnbench.machine.place import Place
from cnnbench.models.variants import Variant
from cnnbench.records.measurements import Row
from cnnbench.speed.engines.engine import Program

_ENGINES = {
    "tensorflow": "TensorFlowEngine",
    "jax": "JaxEngine",
    "torch": "TorchEngine",
    "openvino": "OpenVinoEngine",
    "onnxruntime": "OnnxRuntimeEngine",
}


@dataclass(frozen=True)
class Recipe:
    """What a program is made of.

    `exported` is the ONNX file of the same weights, for backends that do not build Keras' models.
    """

    variant: Variant
    row: Row
    input_shape: tuple[int, int, int]
    classes: int
    weights: Sequence[npt.NDArray[Any]] | None
    exported: Path | None


def engine_for(place: Place) -> Any:
    """Returns the `Engine` of this process; it imports the backend."""
    module = importlib.import_module(f"cnnbench.speed.engines.on_{place.backend}")
    engine = getattr(module, _ENGINES[place.backend])
    is_keras = place.backend in TRAINING_BACKENDS
    return engine(kind_of(place.device) if is_keras else place.threads)


def program_for(engine: Any, backend: str, recipe: Recipe) -> Program:
    """Builds a model, or reads the exported one, and makes its program."""
    if backend not in TRAINING_BACKENDS:
        program: Program = engine.program(recipe.exported, recipe.row.dtype, recipe.row.batch_size)
        return program
    from cnnbench.speed.engines.keras_model import model_of

    model = model_of(
        recipe.variant,
        recipe.row.seed,
        recipe.input_shape,
        recipe.classes,
        recipe.row.dtype,
        recipe.weights,
    )
    program = engine.program(model, recipe.row.workload)
    return program
