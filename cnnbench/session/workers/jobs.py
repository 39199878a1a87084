"""The jobs of workers, as plain data; what a job needs (Keras, say) is imported when it runs."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args

from cnnbench.machine.backends import Place, gpus
from cnnbench.models.user_errors import blaming, plain
from cnnbench.models.variants import Variant
from cnnbench.records import records
from cnnbench.training.protocols import Protocol

if TYPE_CHECKING:
    from cnnbench.pictures.data_set import Splits

R = TypeVar("R", covariant=True)
Report = Callable[[dict[str, Any]], None]  # called with how far a job is
CALIBRATION = 256  # pictures from which int8's ranges are taken


@dataclass(frozen=True)
class Job(Generic[R]):
    """Something that a worker does; `R` is what it comes to. Equal jobs are done once."""

    words: ClassVar[str]  # what is done, for people who wait; `str.format` fills them in

    def run(self, place: Place, report: Report) -> R:
        """Does the job in this process, which is the place."""
        raise NotImplementedError

    def title(self, place: Place) -> str:
        return self.words.format(job=self, place=place)

    @classmethod
    def result(cls) -> Any:
        (base,) = vars(cls)["__orig_bases__"]
        return get_args(base)[0]

    @classmethod
    def is_recorded(cls) -> bool:
        return cls.result() in get_args(records.Record)

    def when_killed(self, place: Place) -> R | None:
        """Returns what it means that the system killed the process; `None`: an error."""
        return None


def run(job: Job[R], place: Place, report: Report) -> R:
    """Does a job in this process; an error of a user's own model names their file and line."""
    variant = getattr(job, "variant", None)
    with blaming(variant and variant.builder):
        return job.run(place, report)


def _open(manifest: Path) -> Splits:
    from cnnbench.pictures.data_set import Splits

    return Splits.open(manifest)


@dataclass(frozen=True)
class FindGpus(Job[tuple[str, ...]]):
    words = "looking for GPUs of {place.backend}"

    def run(self, place: Place, report: Report) -> tuple[str, ...]:
        return gpus(place.backend)


@dataclass(frozen=True)
class CheckModels(Job[tuple[str, ...]]):
    """Builds each variant once and returns the problems, before anything is trained."""

    words = "building each model once"
    variants: tuple[Variant, ...]
    splits: Path

    def run(self, place: Place, report: Report) -> tuple[str, ...]:
        from cnnbench.models.network import try_model

        splits, problems = _open(self.splits), []
        for variant in self.variants:
            try:
                try_model(variant, splits)
            except ValueError as error:
                problems.append(str(error))
            except Exception as error:  # unforeseen, so that its traceback is needed
                text = f"{variant.name} can't be used: {type(error).__name__}: {error}"
                problems.append(plain(f"{text}\n{traceback.format_exc()}"))
        return tuple(problems)


@dataclass(frozen=True)
class Train(Job[records.TrainingRun]):
    """One training run; `weights` is a file for the final ones, `classifier` a new folder."""

    words = "training {job.variant.name} seed {job.seed}"
    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol
    weights: Path | None = None
    classifier: Path | None = None

    def run(self, place: Place, report: Report) -> records.TrainingRun:
        from cnnbench.speed.reference import save_weights
        from cnnbench.training.classifier import save
        from cnnbench.training.train import train

        splits = _open(self.splits)
        trained = train(
            self.variant, splits, self.seed, protocol=self.protocol, place=place, progress=report
        )
        if self.weights is not None:
            save_weights(trained.model.get_weights(), self.weights)
        if self.classifier is not None:
            save(trained, self.classifier)
        return trained.run


@dataclass(frozen=True)
class Sanity(Job[records.SanityRun]):
    """One training with an outcome that is known beforehand."""

    words = "{job.kind} {job.variant.name}"
    kind: records.SanityKind
    variant: Variant
    splits: Path
    seed: int
    protocol: Protocol

    def run(self, place: Place, report: Report) -> records.SanityRun:
        from cnnbench.training.sanity import memorize, train_on_shuffled

        splits = _open(self.splits)
        if self.kind == "memorization":
            return memorize(self.variant, splits, self.seed, place)
        return train_on_shuffled(self.variant, splits, self.seed, self.protocol, place, report)


@dataclass(frozen=True)
class MakeReference(Job[None]):
    """Writes float32's answers on a CPU to compare with; `weights` is a training's, if any ran."""

    words = "reference answers of {job.variant.name}"
    variant: Variant
    splits: Path
    workload: records.Workload
    batch_size: int
    seed: int
    weights: Path
    target: Path

    def run(self, place: Place, report: Report) -> None:
        from cnnbench.speed.reference import make_reference

        make_reference(
            self.variant,
            _open(self.splits),
            self.workload,
            self.batch_size,
            self.seed,
            self.weights if self.weights.is_file() else None,
        ).save(self.target)


@dataclass(frozen=True)
class Export(Job[None]):
    """Writes an ONNX file of a reference's weights, in float32 or in int8."""

    words = "exporting {job.variant.name} in {job.dtype}"
    variant: Variant
    splits: Path
    seed: int
    reference: Path
    dtype: str
    target: Path

    def run(self, place: Place, report: Report) -> None:
        from cnnbench.speed.engines.keras_model import model_of
        from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx
        from cnnbench.speed.reference import Reference

        splits = _open(self.splits)
        weights = Reference.load(self.reference).answers["inference"].weights
        classes = len(splits.classes)
        model = model_of(self.variant, self.seed, splits.input_shape, classes, "float32", weights)
        export_onnx(model, self.target, splits.input_shape)
        if self.dtype == "int8":
            source = self.target.rename(self.target.with_suffix(".float32.onnx"))
            quantize_onnx(source, self.target, splits.train_pictures()[:CALIBRATION])


@dataclass(frozen=True)
class Measure(Job[records.Measurement]):
    """One throughput measurement; `exported` is for backends that run ONNX files."""

    words = (
        "timing {job.row.workload} of {job.row.variant}, {place}, {job.row.dtype}, "
        "batch size {job.row.batch_size}"
    )
    variant: Variant
    row: records.Row
    splits: Path
    rounds: int
    warmup_rounds: int
    reference: Path | None = None
    exported: Path | None = None

    def run(self, place: Place, report: Report) -> records.Measurement:
        from cnnbench.speed.throughput import measure_row

        return measure_row(
            self.variant,
            self.row,
            _open(self.splits),
            place,
            rounds=self.rounds,
            warmup_rounds=self.warmup_rounds,
            reference=self.reference,
            exported=self.exported,
        )

    def title(self, place: Place) -> str:
        process = self.row.process
        return super().title(place) + (f", process {process + 1}" if process else "")

    def when_killed(self, place: Place) -> records.Measurement:
        return records.Measurement(
            row=self.row,
            place=place,
            fingerprint=self.variant.fingerprint(),
            data_hash=_open(self.splits).content_hash,
            warmup_rounds=self.warmup_rounds,
            out_of_memory=True,
        )


@dataclass(frozen=True)
class MeasurePeak(Job[records.Peak]):
    words = "peak of {place}, {job.dtype}"
    dtype: str

    def run(self, place: Place, report: Report) -> records.Peak:
        from cnnbench.speed.peaks import measure_peak

        return measure_peak(place, self.dtype)


@dataclass(frozen=True)
class Predict(Job[None]):
    """Classifies pictures, each of which is reported as it is done."""

    words = "classifying with {job.classifier}"
    classifier: Path
    pictures: tuple[Path, ...]

    def run(self, place: Place, report: Report) -> None:
        from cnnbench.training.classifier import load_classifier

        classifier = load_classifier(self.classifier)
        for path in self.pictures:
            try:
                ((label, probability),) = classifier.predict([path])
            except (ValueError, OSError) as error:
                report({"error": str(error)})
            else:
                report({"picture": str(path), "class": label, "probability": probability})
