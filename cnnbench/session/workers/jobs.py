"""The jobs that a worker can do, as plain data, and the type of what each comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_args

from cnnbench.machine.backends import Place
from cnnbench.models.variants import Variant
from cnnbench.records.records import (
    Measurement,
    Peak,
    Record,
    Row,
    SanityKind,
    SanityRun,
    TrainingRun,
    Workload,
)
from cnnbench.training.protocols import Protocol

R = TypeVar("R", covariant=True)


@dataclass(frozen=True)
class Job(Generic[R]):
    """Something that a worker does; `R` is what it comes to. Equal jobs are done once."""

    words: ClassVar[str]  # what is done, for people who wait; `str.format` fills them in

    def title(self, place: Place) -> str:
        """Returns what is done, in words."""
        return self.words.format(job=self, place=place)

    @classmethod
    def result(cls) -> Any:
        """Returns the type `R`."""
        (base,) = vars(cls)["__orig_bases__"]
        return get_args(base)[0]

    @classmethod
    def is_recorded(cls) -> bool:
        """Returns whether it comes to a record."""
        return cls.result() in get_args(Record)

    def when_killed(self, place: Place) -> R | None:
        """Returns what it means that the system killed the process; `None`: an error."""
        return None


@dataclass(frozen=True)
class FindGpus(Job[tuple[str, ...]]):
    """Asks the backend for the names of the GPUs that it sees."""

    words = "looking for GPUs of {place.backend}"


@dataclass(frozen=True)
class CheckModels(Job[tuple[str, ...]]):
    """Builds each variant once and returns the problems, before anything is trained."""

    words = "building each model once"
    variants: tuple[Variant, ...]
    splits: Path


@dataclass(frozen=True)
class Train(Job[TrainingRun]):
    """One training run; `weights` is a file for the final ones, `classifier` a new folder."""

    words = "training {job.variant.name} seed {job.seed}"
    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol
    weights: Path | None = None
    classifier: Path | None = None


@dataclass(frozen=True)
class Sanity(Job[SanityRun]):
    """One training with an outcome that is known beforehand."""

    words = "{job.kind} {job.variant.name}"
    kind: SanityKind
    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol


@dataclass(frozen=True)
class MakeReference(Job[None]):
    """Writes the answers of float32 on a CPU, which measurements are compared with.

    `weights` is the file of a training's, if there was one.
    """

    words = "reference answers of {job.variant.name}"
    variant: Variant
    splits: Path
    workload: Workload
    batch_size: int
    seed: int
    weights: Path
    target: Path


@dataclass(frozen=True)
class Export(Job[None]):
    """Writes the ONNX file of a reference's weights."""

    words = "exporting {job.variant.name}"
    variant: Variant
    splits: Path
    seed: int
    reference: Path
    target: Path


@dataclass(frozen=True)
class Quantize(Job[None]):
    """Writes an ONNX file again in int8."""

    words = "quantizing {job.source.name}"
    splits: Path
    source: Path
    target: Path


@dataclass(frozen=True)
class Measure(Job[Measurement]):
    """One throughput measurement; `exported` is for backends that run ONNX files."""

    words = (
        "timing {job.row.workload} of {job.row.variant}, {place}, {job.row.dtype}, "
        "batch size {job.row.batch_size}"
    )
    variant: Variant
    row: Row
    splits: Path
    rounds: int
    warmup_rounds: int
    reference: Path | None = None
    exported: Path | None = None

    def title(self, place: Place) -> str:
        process = self.row.process
        return super().title(place) + (f", process {process + 1}" if process else "")

    def when_killed(self, place: Place) -> Measurement:
        from cnnbench.pictures.data_set import Splits

        return Measurement(
            row=self.row,
            place=place,
            fingerprint=self.variant.fingerprint(),
            data_hash=Splits.open(self.splits).content_hash,
            warmup_rounds=self.warmup_rounds,
            out_of_memory=True,
        )


@dataclass(frozen=True)
class MeasurePeak(Job[Peak]):
    """Measures what the backend reaches at best."""

    words = "peak of {place}, {job.dtype}"
    dtype: str


@dataclass(frozen=True)
class Predict(Job[None]):
    """Classifies pictures, each of which is reported as it is done."""

    words = "classifying with {job.classifier}"
    classifier: Path
    pictures: tuple[Path, ...]
