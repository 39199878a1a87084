"""The words of speed: frozen records of what was measured, and of how far it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

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
class Measurement:
    """Raw timings of one workload.

    `round_seconds` are timed groups of `steps_per_round` queued steps on pictures that lie on the
    device, waited for at both ends; `latency_seconds` are single calls with one picture, from host
    to host (inference only); `copy_seconds` copies of a batch to the device.
    `first_step_seconds` spans building, compiling and the first step. Memory is the
    peak of the worker process (CPU) or of the device (GPU), in 10^6 bytes. Where the batch did not
    fit into memory, `out_of_memory` says so and there are no rounds. `process` counts the fresh
    processes that measured the same thing. `flops_per_picture` are counted from the layers,
    `backend_flops_per_picture` by the backend. `not_compared` says why a training program has no
    `agreement`.
    """

    variant: str
    seed: int
    workload: Workload
    backend: str
    device: str
    dtype: str
    batch_size: int
    threads: int
    steps_per_round: int
    warmup_rounds: int
    round_seconds: tuple[float, ...]
    latency_seconds: tuple[float, ...]
    first_step_seconds: float
    peak_memory_mb: float
    fingerprint: str
    data_hash: str = ""
    process: int = 0
    copy_seconds: tuple[float, ...] = ()
    out_of_memory: bool = False
    agreement: Agreement | None = None
    not_compared: str = ""
    timing: TimingProof | None = None
    placement: Placement | None = None
    tf32: str = ""
    flops_per_picture: float | None = None
    backend_flops_per_picture: float | None = None
    telemetry: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Peak:
    """What a backend reaches at best on a device: the limit that speeds are compared with.

    Floating point operations a second of a large matrix product and of a convolution; `None` where
    the backend can't.
    """

    backend: str
    device: str
    dtype: str
    threads: int
    matmul_flops_per_second: float | None
    convolution_flops_per_second: float | None
