"""What a backend must do for a measurement. One file per backend implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.machine.backends import Place
from cnnbench.pictures.batches import Pictures
from cnnbench.records.records import Placement
from cnnbench.speed.timing import Step

Tensor = Any  # a tensor of the backend

# What the names and messages of the backends' errors have in common, in lower case.
_OUT_OF_MEMORY = (
    "memoryerror",
    "out of memory",
    "out_of_memory",
    "resourceexhausted",
    "resource_exhausted",
    "bad_alloc",
    "failed to allocate",
    "can't allocate memory",
)


class Engine(ABC):
    """One backend on one device in this process."""

    @abstractmethod
    def send(self, array: npt.NDArray[Any]) -> Tensor:
        """Copies an array to the device, perhaps after it has returned."""

    @abstractmethod
    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Copies a tensor to the host."""

    @abstractmethod
    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Returns when all queued work, and these outputs, are done."""

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        """Copies an array to the device; returns when it has arrived."""
        tensor = self.send(array)
        self.synchronize([tensor])
        return tensor

    def tf32(self) -> str:
        """Returns `on` or `off` where float32 may be computed as TF32, else an empty text."""
        return ""


class Program(ABC):
    """A compiled workload of one model: training steps or inference."""

    @abstractmethod
    def inputs(self, batch: Pictures) -> tuple[Tensor, ...]:
        """Copies to the device what `run` takes of a batch."""

    @abstractmethod
    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """Queues one step and returns its output, which may not be computed yet.

        Args:
            pictures: uint8 `(batch_size, height, width, channels)` on the device.
            targets: for training, what the model's loss takes, on the device.

        Returns:
            Probabilities `(batch_size, outputs)` of inference. Of a training step, Keras' running
            mean of the loss `()`.
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
    def program(self, path: Path, dtype: str, batch_size: int) -> HostProgram:
        """Compiles an ONNX file.

        Raises:
            ValueError: if this CPU does not compute in that dtype.
        """


class HostProgram(Program):
    """Inference of an exported model."""

    engine: HostEngine

    @abstractmethod
    def compute(self, tensor: Tensor) -> None:
        """Makes a step and leaves its output where the next one overwrites it."""

    def inputs(self, batch: Pictures) -> tuple[Tensor, ...]:
        return (self.engine.put(batch.pictures),)


def host_step(engine: Engine, program: Program, batch: Pictures) -> Step:
    """Returns a step as most code makes it, from arrays in memory to numbers in memory."""
    return lambda: engine.get(program.run(*program.inputs(batch)))


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any backend says that the device's memory is full."""
    text = f"{type(error).__name__}: {error}".lower()
    return any(part in text for part in _OUT_OF_MEMORY)
