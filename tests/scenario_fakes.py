"""A fake clock, and a model whose answers take fake seconds."""

import numpy as np

from cnnbench.scenarios.settings import Identity
from cnnbench.scenarios.watch import Watch

TICK = 1 / 1024  # seconds that floats add up exactly
ME = Identity("documented", 3, "tensorflow", "cpu", "float32", 1, "f00d")
PICTURES = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)


class Model:
    """Takes `first` seconds a batch and `each` a picture; sees what it is asked."""

    def __init__(self, first=TICK, each=0.0, slow=()):
        self.now = 0.0
        self.first, self.each, self.slow = first, each, dict(slow)
        self.batches: list[list[int]] = []
        self.waits: list[float] = []

    def answer(self, pictures):
        assert pictures.dtype == np.uint8
        assert pictures.shape[1:] == (2, 2, 3)
        late = self.slow.get(len(self.batches), 0.0)
        self.batches.append(pictures[:, 0, 0, 0].tolist())
        self.now += self.first + self.each * len(pictures) + late
        return np.zeros((len(pictures), 1), np.float32)

    def wait(self, moment):
        assert moment > self.now
        self.waits.append(moment)
        self.now = moment

    @property
    def watch(self):
        return Watch(lambda: self.now, self.wait)
