"""The engine of a backend, and the programs that it makes of a variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from cnnbench.machine.backends import TRAINING_BACKENDS, kind_of
from cnnbench.models.variants import Variant
from cnnbench.records.measurements import Workload
from cnnbench.speed.engines.engine import Engine, Program


@dataclass(frozen=True)
class Recipe:
    """What a program is made of.

    `exported` is the ONNX file of the same weights, for backends that do not build Keras' models.
    """

    variant: Variant
    workload: Workload
    dtype: str
    batch_size: int
    seed: int
    input_shape: tuple[int, int, int]
    classes: int
    weights: Sequence[npt.NDArray[Any]] | None
    exported: Path | None


@dataclass(frozen=True)
class Bench:
    """An engine, a program on it and, for training, the form that its loss takes labels in."""

    engine: Engine
    program: Program
    model: Any = None


def engine_for(backend: str, device: str, threads: int) -> Engine:
    """Returns the engine of this process; it imports the backend."""
    kind = kind_of(device)
    if backend == "tensorflow":
        from cnnbench.speed.engines.on_tensorflow import TensorFlowEngine

        return TensorFlowEngine(kind)
    if backend == "jax":
        from cnnbench.speed.engines.on_jax import JaxEngine

        return JaxEngine(kind)
    if backend == "torch":
        from cnnbench.speed.engines.on_torch import TorchEngine

        return TorchEngine(kind)
    if backend == "openvino":
        from cnnbench.speed.engines.on_openvino import OpenVinoEngine

        return OpenVinoEngine(threads)
    from cnnbench.speed.engines.on_onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(threads)


def program_for(engine: Any, backend: str, recipe: Recipe) -> Bench:
    """Builds a model, or reads the exported one, and makes its program."""
    if backend not in TRAINING_BACKENDS:
        assert recipe.exported is not None
        program = engine.program(recipe.exported, recipe.dtype, recipe.batch_size)
        return Bench(engine, program)
    from cnnbench.speed.engines.keras_model import model_of

    model = model_of(
        recipe.variant,
        recipe.seed,
        recipe.input_shape,
        recipe.classes,
        recipe.dtype,
        recipe.weights,
    )
    if recipe.dtype == "int8":
        from cnnbench.speed.engines.quantized import quantize_int8

        quantize_int8(model)
    return Bench(engine, engine.program(model, recipe.workload), model)
