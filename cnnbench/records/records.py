"""Records of what was trained, measured and judged: plain data, which travels as lines of JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan
from statistics import median
from typing import Any, Literal

from cnnbench.machine.backends import Place

SanityKind = Literal["memorization", "shuffled_labels"]


@dataclass(frozen=True)
class Environment:
    """The identity of a run: where, with what and on what it was measured."""

    content: dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """The pictures of a session; `content_hash` covers labels and decoded pixels."""

    name: str
    classes: tuple[str, ...]
    content_hash: str
    input_shape: tuple[int, int, int]
    train_pictures: int
    train_labels_per_class: tuple[int, ...]
    validation_names: tuple[str, ...]
    validation_labels: tuple[int, ...]
    load_seconds: float

    def summary(self) -> dict[str, Any]:
        """Returns what identifies the pictures, without their names."""
        names = ("name", "content_hash", "train_pictures")
        lists = ("classes", "input_shape", "train_labels_per_class")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: list(getattr(self, name)) for name in lists},
            "validation_pictures": len(self.validation_labels),
        }


@dataclass(frozen=True)
class TrainingRun:
    """One training of one variant under one seed.

    Accuracies and losses (in nats) are those of the final weights in inference mode. `history` is
    Keras' own, a value per epoch. `non_finite` is the epoch and the batch, both from 1, of a loss
    that is not finite: training stopped there. `val_probabilities` has a row per held-out picture:
    the probability of the second class (sigmoid) or of each class (softmax).
    `prediction_difference` is the largest absolute difference between two predictions of the same
    held-out pictures, `dead_units` the share of each relu layer's units that are zero for all.
    """

    variant: str
    seed: int
    backend: str
    device: str
    dtype: str
    batch_size: int
    protocol: str
    threads: int
    epochs: int
    steps_per_epoch: int
    parameters: int
    initial_loss: float
    train_accuracy: float
    train_loss: float
    val_accuracy: float
    val_loss: float
    seconds: float
    evaluation_seconds: float
    unchanged_weights: tuple[str, ...]
    prediction_difference: float
    dead_units: dict[str, float]
    weights_sha256: str
    data_hash: str
    fingerprint: str
    non_finite: tuple[int, int] | None
    history: dict[str, tuple[float, ...]]
    val_probabilities: tuple[tuple[float, ...], ...]

    @property
    def generalization_gap(self) -> float:
        """Train accuracy minus held-out accuracy, both with the final weights."""
        return self.train_accuracy - self.val_accuracy

    def __repr__(self) -> str:
        return (
            f"TrainingRun({self.variant!r}, seed={self.seed}, epochs={self.epochs}, "
            f"val_accuracy={self.val_accuracy:.4f}, "
            f"generalization_gap={self.generalization_gap:+.4f}, seconds={self.seconds:.1f})"
        )

    def __str__(self) -> str:
        reached = f"held-out accuracy {self.val_accuracy:.3f}, gap {self.generalization_gap:+.3f}"
        return f"{reached}, {self.seconds:.1f} s"


@dataclass(frozen=True)
class SanityRun:
    """A short training whose outcome is known beforehand.

    `memorization` learns one tiny batch by heart (accuracy and loss on that batch);
    `shuffled_labels` trains on labels without meaning (accuracy and loss held out).
    """

    kind: SanityKind
    variant: str
    seed: int
    backend: str
    device: str
    dtype: str
    batch_size: int
    steps: int
    accuracy: float
    loss: float
    seconds: float

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.3f}, loss {self.loss:.3f}, {self.seconds:.1f} s"


Workload = Literal["train", "inference"]

# Twice the steps must take twice the time. Overhead that is paid once makes it less, a busy machine
# makes it more or less; a timer that does not wait is off by the length of the queue.
LINEAR = (0.6, 1.6)


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

    @property
    def linearity(self) -> float:
        """By how much time grew with queued steps, relative to the steps: 1 is right."""
        more_seconds = self.seconds[-1] - self.seconds[0]
        more_steps = self.steps[-1] - self.steps[0]
        return (more_seconds / more_steps) / (self.seconds[-1] / self.steps[-1])

    @property
    def is_linear(self) -> bool:
        return LINEAR[0] <= self.linearity <= LINEAR[1]


@dataclass(frozen=True)
class Placement:
    """Where tensors really lie, read off the tensors themselves: kinds of devices and dtypes."""

    devices: tuple[str, ...]
    weight_dtypes: tuple[str, ...]
    compute_dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What is measured; `process` counts the fresh processes that measure the same thing."""

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

    def __str__(self) -> str:
        if self.out_of_memory:
            return "the batch does not fit into memory"
        return f"{self.images_per_second:.0f} images/s"


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

    @property
    def limit(self) -> float:
        """The faster of both works; 0 where the backend can do neither."""
        return max(self.matmul_flops_per_second or 0.0, self.convolution_flops_per_second or 0.0)

    def __str__(self) -> str:
        works = (self.matmul_flops_per_second, self.convolution_flops_per_second)
        known = [f"{value / 1e9:.0f} GFLOP/s" for value in works if value is not None]
        return f"{' and '.join(known) or 'not available'} (matrix product, convolution)"


# An error is a check that could not be judged: its training failed, say.
Verdict = Literal["pass", "fail", "inconclusive", "error"]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One property, its verdict and the numbers behind it; the pictures' have no variant or place.

    A gate, which is a check with a stated error rate, has an interval of what it observed
    (95 %), the p value of "all is well" after adjustment for the looks taken at it and for all
    gates of the session, and `alpha`, which that p value is compared with. `values` counts what the
    verdict rests on: seeds, or pairs of processes.
    """

    check: str
    variant: str = ""
    seed: int | None = None
    backend: str = ""
    device: str = ""
    dtype: str = ""
    batch_size: int | None = None
    verdict: Verdict
    observed: float
    threshold: float
    detail: str
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    values: int | None = None


Record = Environment | DataSet | TrainingRun | SanityRun | Measurement | Peak | CheckResult
