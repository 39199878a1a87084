"""The jobs that a worker can do, as plain data, and the type of what each comes to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, get_args

from cnnbench.machine.place import Place
from cnnbench.models.variants import Variant
from cnnbench.records.codec import from_data
from cnnbench.records.measurements import Measurement, Peak, Row, Workload
from cnnbench.records.runs import SanityKind, SanityRun, TrainingRun
from cnnbench.training.protocols import Protocol

R = TypeVar("R", covariant=True)


@dataclass(frozen=True)
class Job(ABC, Generic[R]):
    """Something that a worker does; `R` is what it comes to. Equal jobs are done once.

    Those that are `counted` leave a record.
    """

    counted: ClassVar[bool] = False

    @abstractmethod
    def title(self, place: Place) -> str:
        """Returns what is done, for people who wait."""

    @classmethod
    def result_from(cls, data: Any) -> R:
        """Rebuilds a result from the data of a line of JSON."""
        (base,) = vars(cls)["__orig_bases__"]  # Job[R]
        result: R = from_data(get_args(base)[0], data)
        return result

    def when_killed(self, place: Place) -> R | None:
        """Returns what it means that the system killed the process; `None`: an error."""
        return None


@dataclass(frozen=True)
class FindGpus(Job[tuple[str, ...]]):
    """Asks the backend for the names of the GPUs that it sees."""

    def title(self, place: Place) -> str:
        return f"looking for GPUs of {place.backend}"


@dataclass(frozen=True)
class CheckModels(Job[tuple[str, ...]]):
    """Builds each variant once and returns the problems, before anything is trained."""

    variants: tuple[Variant, ...]
    splits: Path

    def title(self, place: Place) -> str:
        return "building each model once"


@dataclass(frozen=True)
class Train(Job[TrainingRun]):
    """One training run; `weights` is a file for the final ones, `classifier` a new folder."""

    counted = True

    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol
    weights: Path | None = None
    classifier: Path | None = None

    def title(self, place: Place) -> str:
        return f"training {self.variant.name} seed {self.seed}"


@dataclass(frozen=True)
class Sanity(Job[SanityRun]):
    """One training with an outcome that is known beforehand."""

    counted = True

    kind: SanityKind
    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol

    def title(self, place: Place) -> str:
        return f"{self.kind} {self.variant.name}"


@dataclass(frozen=True)
class MakeReference(Job[None]):
    """Writes the answers of float32 on a CPU, which measurements are compared with.

    `weights` is the file of a training's, if there was one.
    """

    variant: Variant
    splits: Path
    workload: Workload
    batch_size: int
    seed: int
    weights: Path
    target: Path

    def title(self, place: Place) -> str:
        return f"reference answers of {self.variant.name}"


@dataclass(frozen=True)
class Export(Job[None]):
    """Writes the ONNX file of a reference's weights."""

    variant: Variant
    splits: Path
    seed: int
    reference: Path
    target: Path

    def title(self, place: Place) -> str:
        return f"exporting {self.variant.name}"


@dataclass(frozen=True)
class Quantize(Job[None]):
    """Writes an ONNX file again in int8."""

    splits: Path
    source: Path
    target: Path

    def title(self, place: Place) -> str:
        return f"quantizing {self.source.name}"


@dataclass(frozen=True)
class Measure(Job[Measurement]):
    """One throughput measurement; `exported` is for backends that run ONNX files."""

    counted = True

    variant: Variant
    row: Row
    splits: Path
    rounds: int
    warmup_rounds: int
    reference: Path | None = None
    exported: Path | None = None

    def title(self, place: Place) -> str:
        row = self.row
        again = f", process {row.process + 1}" if row.process else ""
        return (
            f"timing {row.workload} of {row.variant}, {place}, {row.dtype}, "
            f"batch size {row.batch_size}{again}"
        )

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

    counted = True

    dtype: str

    def title(self, place: Place) -> str:
        return f"peak of {place}, {self.dtype}"


@dataclass(frozen=True)
class Predict(Job[None]):
    """Classifies pictures, each of which is reported as it is done."""

    classifier: Path
    pictures: tuple[Path, ...]

    def title(self, place: Place) -> str:
        return f"classifying with {self.classifier}"
