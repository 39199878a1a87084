"""How each job is done, in a worker process."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnbench.machine.place import Place
from cnnbench.models.user_errors import blaming, plain
from cnnbench.models.variants import Variant
from cnnbench.pictures.data_set import Splits
from cnnbench.records.codec import Record
from cnnbench.session.workers.jobs import (
    CheckModels,
    Export,
    FindGpus,
    Job,
    MakeReference,
    Measure,
    MeasurePeak,
    Predict,
    Sanity,
    Train,
)

Progress = Callable[[dict[str, Any]], None]
CALIBRATION = 256  # pictures from which int8's ranges are taken


def run(job: Job, place: Place, progress: Progress) -> Record | dict[str, Any]:
    """Does a job in this process. Keras and the backend are imported here and no earlier."""
    variant = getattr(job, "variant", None)
    with blaming(variant and variant.builder):
        return _done(job, place, progress)


def _done(job: Job, place: Place, progress: Progress) -> Record | dict[str, Any]:
    if isinstance(job, FindGpus):
        from cnnbench.machine.devices import gpus

        return {"gpus": list(gpus(place.backend))}
    if isinstance(job, MeasurePeak):
        from cnnbench.speed.peaks import measure_peak

        return measure_peak(place, job.dtype)
    if isinstance(job, Predict):
        return _predicted(job, progress)
    splits = Splits.open(Path(job.splits))
    if isinstance(job, (CheckModels, Train, Sanity)):
        return _trained(job, splits, place, progress)
    if isinstance(job, (MakeReference, Export)):
        return _written(job, splits)
    return _measured(job, splits, place)


def _predicted(job: Predict, progress: Progress) -> dict[str, Any]:
    from cnnbench.pictures.decode_all import decode_picture
    from cnnbench.training.classifier import load_classifier

    classifier = load_classifier(Path(job.classifier))
    for name in job.pictures:
        try:
            pixels = decode_picture(Path(name), classifier.input_shape[:2])
        except (ValueError, OSError) as error:
            progress({"error": str(error)})
            continue
        label, probability = classifier.predict(pixels[None])[0]
        progress({"picture": name, "class": label, "probability": probability})
    return {}


def _trained(
    job: CheckModels | Train | Sanity, splits: Splits, place: Place, progress: Progress
) -> Record | dict[str, Any]:
    from cnnbench.speed.reference import save_weights
    from cnnbench.training import sanity
    from cnnbench.training.classifier import save
    from cnnbench.training.train import train

    if isinstance(job, CheckModels):
        return _check_models(job, splits)
    if isinstance(job, Train):
        trained = train(
            job.variant, splits, job.seed, protocol=job.protocol, place=place, progress=progress
        )
        if job.weights:
            save_weights(trained.model.get_weights(), Path(job.weights))
        if job.classifier:
            save(trained, job.classifier)
        return trained.run
    if job.kind == "memorization":
        return sanity.memorize(job.variant, splits, job.seed, place)
    return sanity.train_on_shuffled(job.variant, splits, job.seed, job.protocol, place, progress)


def _check_models(job: CheckModels, splits: Splits) -> dict[str, Any]:
    problems = []
    for variant in job.variants:
        try:
            _check_model(variant, splits)
        except ValueError as error:
            problems.append(str(error))
        except Exception as error:  # unforeseen, so that its traceback is needed
            text = f"{variant.name} can't be used: {type(error).__name__}: {error}"
            problems.append(plain(f"{text}\n{traceback.format_exc()}"))
    return {"problems": problems}


def _check_model(variant: Variant, splits: Splits) -> None:
    from cnnbench.models.network import targets_for
    from cnnbench.models.own_models import PROBE_PICTURES, try_own_model
    from cnnbench.models.seeded import seeded_model

    classes = len(splits.classes)
    model = seeded_model(variant, 0, splits.input_shape, classes)
    if variant.builder is not None:
        pictures = splits.train_pictures()[:PROBE_PICTURES]
        targets = targets_for(model, splits.train.labels[:PROBE_PICTURES], classes)
        try_own_model(model, variant.builder, pictures, targets, classes)


def _written(job: MakeReference | Export, splits: Splits) -> dict[str, Any]:
    from cnnbench.speed.reference import Reference

    if isinstance(job, MakeReference):
        from cnnbench.speed.make_reference import make_reference

        path = Path(job.weights)
        weights = path if path.is_file() else None  # a variant that was not trained has none
        reference = make_reference(
            job.variant, splits, job.workload, job.batch_size, job.seed, weights
        )
        reference.save(Path(job.target))
        return {}
    from cnnbench.speed.engines.keras_model import model_of
    from cnnbench.speed.engines.onnx_export import export_onnx, quantize_onnx

    known = Reference.load(Path(job.reference))
    classes = len(splits.classes)
    model = model_of(job.variant, job.seed, splits.input_shape, classes, "float32", known.weights)
    export_onnx(model, Path(job.target), splits.input_shape)
    if job.int8:
        quantize_onnx(Path(job.target), Path(job.int8), splits.train_pictures()[:CALIBRATION])
    return {}


def _measured(job: Measure, splits: Splits, place: Place) -> Record:
    from cnnbench.speed.throughput import Plan, measure

    plan = Plan(
        job.variant,
        job.workload,
        job.batch_size,
        job.dtype,
        job.seed,
        job.rounds,
        job.warmup_rounds,
        job.process,
    )
    return measure(
        plan,
        splits,
        place,
        Path(job.reference) if job.reference else None,
        Path(job.exported) if job.exported else None,
    )
