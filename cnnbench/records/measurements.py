"""What was measured, and how far it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from statistics import median
from typing import Any, Literal

from cnnbench.machine.backends import Place

Workload = Literal["train", "inference"]


@dataclass(frozen=True)
class Agreement:
    """What the timed program answers, beside float32 on a CPU with the same weights and pictures.

    `equal_share` is the share of equal classes, `probability_difference` the largest absolute
    difference of a probability, `accuracy_difference` this accuracy less the reference's.
    """

    pictures: int
    equal_share: float
    probability_difference: float
    accuracy_difference: float


@dataclass(frozen=True)
class TimingProof:
    """Whether the timer waits for the work: seconds of queued steps, and what was left.

    `seconds` has the shortest of several tries for each number in `steps`. `drain_seconds` is what
    it took, after the clock of a round had stopped, until its answers were on the host.
    """

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    drain_seconds: float


@dataclass(frozen=True)
class Placement:
    """Where tensors really lie, read off the tensors themselves: kinds of devices and dtypes."""

    devices: tuple[str, ...]
    weight_dtypes: tuple[str, ...]
    compute_dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What is measured; with its place, the key of a row of throughput.csv.

    `process` counts the fresh processes that measure the same thing.
    """

    variant: str
    workload: Workload
    dtype: str
    batch_size: int
    seed: int
    process: int = 0


@dataclass(frozen=True)
class Measurement:
    """Raw timings of one row.

    `round_seconds` are timed groups of `steps_per_round` queued steps on pictures that lie on the
    device, waited for at both ends. `latency_seconds` are single calls with one picture, from host
    to host (inference only), `copy_seconds` copies of a batch to the device.
    `first_step_seconds` spans building, compiling and the first step. Memory is the peak of the
    worker process (CPU) or of the device (GPU), in 10^6 bytes. A batch that did not fit into memory
    has no rounds. `flops_per_picture` are counted from the layers, `backend_flops_per_picture` by
    the backend. `not_compared` says why a training program has no `agreement`.
    """

    row: Row
    place: Place
    fingerprint: str
    data_hash: str
    warmup_rounds: int
    steps_per_round: int = 0
    round_seconds: tuple[float, ...] = ()
    latency_seconds: tuple[float, ...] = ()
    copy_seconds: tuple[float, ...] = ()
    first_step_seconds: float = nan
    peak_memory_mb: float = nan
    out_of_memory: bool = False
    agreement: Agreement | None = None
    not_compared: str = ""
    timing: TimingProof | None = None
    placement: Placement | None = None
    tf32: str = ""
    flops_per_picture: float | None = None
    backend_flops_per_picture: float | None = None
    telemetry: dict[str, Any] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float:
        """Pictures per second of the median round; 0 where the batch did not fit into memory."""
        if not self.round_seconds:
            return 0.0
        return self.row.batch_size * self.steps_per_round / median(self.round_seconds)

    def __repr__(self) -> str:
        speed = f"images_per_second={self.images_per_second:.0f}"
        return f"Measurement({self.row}, {self.place}, {speed})"


@dataclass(frozen=True)
class Peak:
    """What a backend reaches at best at a place: the limit that speeds are compared with.

    Floating point operations per second of a large matrix product and of a convolution; `None`
    where the backend can't.
    """

    place: Place
    dtype: str
    matmul_flops_per_second: float | None
    convolution_flops_per_second: float | None
