"""A row that is to be measured."""

from __future__ import annotations

from dataclasses import dataclass

from cnnbench.records.measurements import Workload


@dataclass(frozen=True)
class Spot:
    """Where, and in which dtype, something is measured."""

    backend: str
    device: str
    dtype: str


@dataclass(frozen=True)
class Wanted:
    """A row that is to be measured."""

    variant: str
    workload: Workload
    spot: Spot
    batch_size: int
    rounds: int
    warmup_rounds: int

    def question(self) -> Question:
        return Question(self.variant, self.workload, self.batch_size)


@dataclass(frozen=True)
class Question:
    """What a reference answers; inference is answered alike at any batch size."""

    variant: str
    workload: Workload
    batch_size: int
