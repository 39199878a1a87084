"""The jobs that a worker can do, as plain data, and how each one is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, get_args

from cnnbench.models.variants import Variant
from cnnbench.records.measurements import Workload
from cnnbench.records.runs import SanityKind
from cnnbench.training.protocols import Protocol


@dataclass(frozen=True)
class FindGpus:
    """Asks the backend for the GPUs that it sees."""

    def title(self) -> str:
        return "looking for GPUs"


@dataclass(frozen=True)
class CheckModels:
    """Builds each variant once, so that a model that can't be built is told before any training."""

    variants: tuple[Variant, ...]
    splits: str

    def title(self) -> str:
        return "building each model once"


@dataclass(frozen=True)
class Train:
    """One training run."""

    variant: Variant
    splits: str
    seed: int
    protocol: Protocol
    weights: str = ""  # file that keeps the final ones, for those who answer with them
    classifier: str = ""  # folder that the classifier is saved in

    def title(self) -> str:
        return f"training {self.variant.name} seed {self.seed}"


@dataclass(frozen=True)
class Sanity:
    """One training with an outcome that is known beforehand."""

    kind: SanityKind
    variant: Variant
    splits: str
    seed: int
    protocol: Protocol

    def title(self) -> str:
        return f"{self.kind} {self.variant.name}"


@dataclass(frozen=True)
class MakeReference:
    """The answers of float32 on a CPU that a measurement is held against, written to a file."""

    variant: Variant
    splits: str
    workload: Workload
    batch_size: int
    seed: int
    weights: str
    target: str

    def title(self) -> str:
        return f"answers of {self.variant.name} to hold {self.workload} against"


@dataclass(frozen=True)
class Export:
    """The ONNX file of the reference's weights; `int8` also quantizes it."""

    variant: Variant
    splits: str
    seed: int
    reference: str
    target: str
    int8: str

    def title(self) -> str:
        return f"exporting {self.variant.name}"


@dataclass(frozen=True)
class Measure:
    """One throughput measurement; `place` names backend and device for those who wait."""

    variant: Variant
    splits: str
    workload: Workload
    backend: str
    device: str
    dtype: str
    batch_size: int
    seed: int
    rounds: int
    warmup_rounds: int
    process: int = 0
    reference: str = ""
    exported: str = ""

    def title(self) -> str:
        again = f", process {self.process + 1}" if self.process else ""
        return (
            f"timing {self.workload} of {self.variant.name}, {self.backend} on {self.device}, "
            f"{self.dtype}, batch size {self.batch_size}{again}"
        )


@dataclass(frozen=True)
class MeasurePeak:
    """What the backend reaches at best on this device."""

    backend: str
    device: str
    dtype: str

    def title(self) -> str:
        return f"peak of {self.backend} on {self.device}, {self.dtype}"


@dataclass(frozen=True)
class Predict:
    """Classifies pictures, each of which is reported as it is done."""

    classifier: str
    pictures: tuple[str, ...]

    def title(self) -> str:
        return f"classifying with {self.classifier}"


Job = (
    FindGpus
    | CheckModels
    | Train
    | Sanity
    | MakeReference
    | Export
    | Measure
    | MeasurePeak
    | Predict
)

_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Job)}


def to_data(job: Job) -> dict[str, Any]:
    """Returns a job as plain data for another process."""
    return {"job": type(job).__name__, "fields": asdict(job)}


def from_data(data: dict[str, Any]) -> Job:
    """Rebuilds a job from `to_data`'s data."""
    fields = dict(data["fields"])
    if "pictures" in fields:
        fields["pictures"] = tuple(fields["pictures"])
    if "variant" in fields:
        fields["variant"] = Variant.from_dict(fields["variant"])
    if "variants" in fields:
        fields["variants"] = tuple(Variant.from_dict(v) for v in fields["variants"])
    if "protocol" in fields:
        fields["protocol"] = Protocol(**fields["protocol"])
    job: Job = _TYPES[data["job"]](**fields)
    return job
