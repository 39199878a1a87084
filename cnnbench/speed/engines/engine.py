"""What a backend must do for a measurement. One file per backend, `on_...`, implements it."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.machine.backends import Place
from cnnbench.pictures.batches import Pictures
from cnnbench.records.records import Placement

Array = npt.NDArray[Any]
Tensor = Any  # a tensor of the backend

# What the names and messages of the backends' errors have in common.
_OUT_OF_MEMORY = re.compile(
    "memoryerror|out.of.memory|resource_?exhausted|bad_alloc|(failed to|can't) allocate",
    re.IGNORECASE,
)


def engine_for(place: Place) -> Any:
    """Returns the `Engine` of this process; it imports the backend."""
    module = importlib.import_module(f"cnnbench.speed.engines.on_{place.backend}")
    return getattr(module, f"{place.backend.title()}Engine")(place)


class Engine(ABC):
    """One backend on one device, `cpu` or `gpu`, in this process."""

    @abstractmethod
    def send(self, array: Array) -> Tensor:
        """Copies an array to the device, perhaps after it has returned."""

    @abstractmethod
    def get(self, tensor: Tensor) -> Array:
        """Copies a tensor to the host."""

    @abstractmethod
    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Returns when all queued work, and these outputs, are done."""

    def put(self, array: Array) -> Tensor:
        """Copies an array to the device; returns when it has arrived."""
        tensor = self.send(array)
        self.synchronize([tensor])
        return tensor

    def tf32(self) -> str:
        """Returns `on` or `off` where float32 may be computed as TF32, else an empty text."""
        return ""


class Program(ABC):
    """A compiled workload of one model: training steps or inference."""

    engine: Engine

    def inputs(self, batch: Pictures) -> tuple[Tensor, ...]:
        """Copies to the device what `run` takes of a batch."""
        return (self.engine.put(batch.pictures),)

    @abstractmethod
    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """Queues one step and returns its output, which may not be computed yet.

        Of inference, that is probabilities `(batch_size, outputs)`, and of a training step, which
        takes the targets of the model's loss, Keras' running mean of the loss `()`.
        """

    @abstractmethod
    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Returns probabilities `(n, outputs)` from host to host, with the present weights."""

    @abstractmethod
    def placement(self) -> Placement:
        """Returns where weights and outputs are, read off the tensors."""

    def backend_flops(self) -> float | None:
        """Returns the backend's own count per picture, or `None` where it has none.

        It leaves out the optimizer. A model may be trained by it.
        """
        return None


class HostEngine(Engine):
    """A runtime of exported models on the CPU, with a number of threads."""

    def __init__(self, place: Place) -> None:
        self.threads = place.threads

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Does nothing: a step is done when it returns."""

    @abstractmethod
    def program(self, path: Path, dtype: str, batch_size: int) -> Program:
        """Compiles an ONNX file. Raises a `ValueError` if this CPU has no such dtype.

        The program's `compute` makes a step and leaves its output where the next one overwrites it.
        """


def placed(
    devices: Iterable[str], weight_dtypes: Iterable[str], compute_dtypes: Iterable[str]
) -> Placement:
    """Returns a placement that names each device and dtype once."""
    return Placement(
        devices=tuple(sorted(set(devices))),
        weight_dtypes=tuple(sorted(set(weight_dtypes))),
        compute_dtypes=tuple(sorted(set(compute_dtypes))),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any backend says that the device's memory is full."""
    return bool(_OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}"))
