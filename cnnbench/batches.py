"""The pictures of one side, and the stream of batches that a training walks through."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Pictures:
    """Arrays of one side: uint8 pictures `(n, height, width, channels)`, int64 labels `(n,)`."""

    pictures: np.ndarray
    labels: np.ndarray

    def taken(self, rows: np.ndarray) -> Pictures:
        return Pictures(self.pictures[rows], self.labels[rows])


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """An endless stream of batches; batch `i` is a function of the seed and `i` alone.

    Keras prefetches in a thread and may ask for a batch before an epoch's end is told, so
    an order that changes at the end of an epoch would be a race. Each epoch is a new
    permutation (more than one where an epoch has more steps than a pass).

    Args:
        pictures: uint8 `(n, height, width, channels)`.
        targets: `(n, ...)`, see `targets_for`.
        steps: batches an epoch.
        seed: of the order; `None` keeps the order of the arrays.
    """

    def __init__(
        self,
        pictures: np.ndarray,
        targets: np.ndarray,
        batch_size: int,
        steps: int,
        seed: int | None,
    ) -> None:
        super().__init__()
        self.pictures, self.targets = pictures, targets
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    @property
    def num_batches(self) -> None:
        """`None` tells Keras that the stream has no end."""
        return None

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        epoch, step = divmod(index, self.steps)
        if epoch != self._epoch:
            self._order, self._epoch = self._epoch_order(epoch), epoch
        rows = self._order[step * self.batch_size : (step + 1) * self.batch_size]
        return self.pictures[rows], self.targets[rows]

    def _epoch_order(self, epoch: int) -> np.ndarray:
        count = len(self.pictures)
        # One pass keeps its last, partial batch; several passes give whole batches only.
        one_pass = self.steps <= math.ceil(count / self.batch_size)
        passes = 1 if one_pass else math.ceil(self.steps * self.batch_size / count)
        if self.seed is None:
            order = np.tile(np.arange(count), passes)
        else:
            rng = np.random.default_rng([self.seed, epoch])
            order = np.concatenate([rng.permutation(count) for _ in range(passes)])
        return order[: self.steps * self.batch_size]
