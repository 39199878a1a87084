"""What every backend must be able to do for a measurement; one file a backend implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cnnbench.records.measurements import Placement

Tensor = Any  # a tensor of the backend


class Program(Protocol):
    """A compiled workload of one model: training steps or inference."""

    def run(self, pictures: Tensor, targets: Tensor | None = None) -> Tensor:
        """Queues one step and returns what it will come to, perhaps before it is computed.

        Args:
            pictures: uint8 `(batch_size, height, width, 3)` on the device.
            targets: for training, what the model's loss takes, on the device.

        Returns:
            Probabilities `(batch_size, outputs)` of inference, of a training step
            Keras' running mean of the loss `()`.
        """

    def answer(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Returns probabilities `(n, outputs)` from host to host, with the present weights."""

    def placement(self) -> Placement:
        """Returns where weights and answers really lie, read off the tensors."""

    def backend_flops(self, batch_size: int) -> float | None:
        """Returns the backend's own count for one step, or `None` where it has none."""


class Engine(Protocol):
    """One backend on one device in this process."""

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        """Copies an array to the device; returns when it has arrived."""

    def get(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Copies a tensor to the host."""

    def synchronize(self, outputs: Sequence[Tensor]) -> None:
        """Returns when all queued work, and these outputs, are done."""

    def tf32(self) -> str:
        """Returns `on` or `off` where float32 may be computed as TF32, else an empty text."""

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Returns whether an error says that the device's memory is full."""
