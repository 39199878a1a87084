"""The jobs that a worker can do, as plain data, and how each one is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnbench.protocols import Protocol
from cnnbench.records import Record, SanityKind, Workload
from cnnbench.variants import Variant


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
class Measure:
    """One throughput measurement."""

    variant: Variant
    splits: str
    workload: Workload
    device: str
    batch_size: int
    seed: int
    rounds: int
    warmup_rounds: int

    def title(self) -> str:
        return (
            f"timing {self.workload} of {self.variant.name} on {self.device} at batch size "
            f"{self.batch_size}"
        )


Job = FindGpus | CheckModels | Train | Sanity | Measure

_KINDS = (FindGpus, CheckModels, Train, Sanity, Measure)
_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in _KINDS}


def to_data(job: Job) -> dict[str, Any]:
    """Returns a job as plain data for another process."""
    return {"job": type(job).__name__, "fields": asdict(job)}


def from_data(data: dict[str, Any]) -> Job:
    """Rebuilds a job from `to_data`'s data."""
    fields = dict(data["fields"])
    if "variant" in fields:
        fields["variant"] = Variant.from_dict(fields["variant"])
    if "variants" in fields:
        fields["variants"] = tuple(Variant.from_dict(v) for v in fields["variants"])
    if "protocol" in fields:
        fields["protocol"] = Protocol(**fields["protocol"])
    job: Job = _TYPES[data["job"]](**fields)
    return job


def run(
    job: Job, backend: str, device: str, threads: int, progress: Callable[[dict[str, Any]], None]
) -> Record | dict[str, Any]:
    """Does a job in this process. Keras and the backend are imported here and no earlier."""
    from cnnbench import backends, sanity, throughput, training
    from cnnbench.images.dataset import Splits

    place = training.Place(backend, device, threads)
    if isinstance(job, FindGpus):
        return {"gpus": list(backends.gpus(backend))}
    splits = Splits.open(Path(job.splits))
    if isinstance(job, CheckModels):
        return _check_models(job, splits)
    if isinstance(job, Train):
        return training.train(job.variant, splits, job.seed, job.protocol, place, progress)
    if isinstance(job, Sanity) and job.kind == "memorization":
        return sanity.memorize(job.variant, splits, job.seed, place)
    if isinstance(job, Sanity):
        return sanity.train_on_shuffled(
            job.variant, splits, job.seed, job.protocol, place, progress
        )
    return throughput.measure(
        job.variant,
        splits,
        job.workload,
        job.batch_size,
        job.seed,
        place,
        rounds=job.rounds,
        warmup_rounds=job.warmup_rounds,
    )


def _check_models(job: CheckModels, splits: Any) -> dict[str, Any]:
    from cnnbench.training import seeded_model

    problems = []
    for variant in job.variants:
        try:
            seeded_model(variant, 0, splits.input_shape, len(splits.classes))
        except ValueError as error:
            problems.append(str(error))
    return {"problems": problems}
