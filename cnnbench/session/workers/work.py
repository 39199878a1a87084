"""How each job is done, in a worker process. Keras and the backend are imported here, if needed."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from cnnbench.machine.backends import Place
from cnnbench.models.user_errors import blaming, plain
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Measurement, Peak, SanityRun, TrainingRun
from cnnbench.session.workers import jobs
from cnnbench.session.workers.jobs import Job, R

Report = Callable[[dict[str, Any]], None]
CALIBRATION = 256  # pictures from which int8's ranges are taken


def run(job: Job[R], place: Place, report: Report) -> R:
    """Does a job in this process.

    Args:
        job: what is done.
        place: of this process.
        report: called with how far the job is.
    """
    variant = getattr(job, "variant", None)
    with blaming(variant and variant.builder):
        result: R = WORK[type(job)](job, place, report)
    return result


def find_gpus(job: jobs.FindGpus, place: Place, report: Report) -> tuple[str, ...]:
    from cnnbench.machine.devices import gpus

    return gpus(place.backend)


def check_models(job: jobs.CheckModels, place: Place, report: Report) -> tuple[str, ...]:
    from cnnbench.models.network import try_model

    splits, problems = Splits.open(job.splits), []
    for variant in job.variants:
        try:
            try_model(variant, splits)
        except ValueError as error:
            problems.append(str(error))
        except Exception as error:  # unforeseen, so that its traceback is needed
            text = f"{variant.name} can't be used: {type(error).__name__}: {error}"
            problems.append(plain(f"{text}\n{traceback.format_exc()}"))
    return tuple(problems)


def train(job: jobs.Train, place: Place, report: Report) -> TrainingRun:
    from cnnbench.speed.reference import save_weights
    from cnnbench.training.classifier import save
    from cnnbench.training.train import train

    splits = Splits.open(job.splits)
    trained = train(
        job.variant, splits, job.seed, protocol=job.protocol, place=place, progress=report
    )
    if job.weights is not None:
        save_weights(trained.model.get_weights(), job.weights)
    if job.classifier is not None:
        save(trained, job.classifier)
    return trained.run


def sanity(job: jobs.Sanity, place: Place, report: Report) -> SanityRun:
    from cnnbench.training.sanity import memorize, train_on_shuffled

    splits = Splits.open(job.splits)
    if job.kind == "memorization":
        return memorize(job.variant, splits, job.seed, place)
    return train_on_shuffled(job.variant, splits, job.seed, job.protocol, place, report)


def make_reference(job: jobs.MakeReference, place: Place, report: Report) -> None:
    from cnnbench.speed.reference import make_reference

    reference = make_reference(
        job.variant,
        Splits.open(job.splits),
        job.workload,
        job.batch_size,
        job.seed,
        job.weights if job.weights.is_file() else None,  # there may have been no training
    )
    reference.save(job.target)


def export(job: jobs.Export, place: Place, report: Report) -> None:
    from cnnbench.speed.engines.keras_model import model_of
    from cnnbench.speed.engines.onnx_export import export_onnx
    from cnnbench.speed.reference import Reference

    splits = Splits.open(job.splits)
    weights = Reference.load(job.reference).answers["inference"].weights
    classes = len(splits.classes)
    model = model_of(job.variant, job.seed, splits.input_shape, classes, "float32", weights)
    export_onnx(model, job.target, splits.input_shape)


def quantize(job: jobs.Quantize, place: Place, report: Report) -> None:
    from cnnbench.speed.engines.onnx_export import quantize_onnx

    quantize_onnx(job.source, job.target, Splits.open(job.splits).train_pictures()[:CALIBRATION])


def measure(job: jobs.Measure, place: Place, report: Report) -> Measurement:
    from cnnbench.speed.throughput import measure_row

    return measure_row(
        job.variant,
        job.row,
        Splits.open(job.splits),
        place,
        rounds=job.rounds,
        warmup_rounds=job.warmup_rounds,
        reference=job.reference,
        exported=job.exported,
    )


def measure_peak(job: jobs.MeasurePeak, place: Place, report: Report) -> Peak:
    from cnnbench.speed.peaks import measure_peak

    return measure_peak(place, job.dtype)


def predict(job: jobs.Predict, place: Place, report: Report) -> None:
    from cnnbench.training.classifier import load_classifier

    classifier = load_classifier(job.classifier)
    for path in job.pictures:
        try:
            ((label, probability),) = classifier.predict([path])
        except (ValueError, OSError) as error:
            report({"error": str(error)})
            continue
        report({"picture": str(path), "class": label, "probability": probability})


WORK: dict[type[Job[Any]], Callable[[Any, Place, Report], Any]] = {
    jobs.FindGpus: find_gpus,
    jobs.CheckModels: check_models,
    jobs.Train: train,
    jobs.Sanity: sanity,
    jobs.MakeReference: make_reference,
    jobs.Export: export,
    jobs.Quantize: quantize,
    jobs.Measure: measure,
    jobs.MeasurePeak: measure_peak,
    jobs.Predict: predict,
}
