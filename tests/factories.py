"""Records with sensible values, for tests to change where it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from cnnbench.machine.backends import Place
from cnnbench.records import records
from cnnbench.records.records import CheckResult, DataSet, Measurement, Row, SanityRun, TrainingRun

R = TypeVar("R")


def changed(record: R) -> Callable[..., R]:
    """Returns a function that returns the record with changes.

    Fields of its row and of its place are changed by their own names.
    """

    def with_changes(**changes: Any) -> R:
        for name in vars(record).keys() & {"row", "place"}:
            part = getattr(record, name)
            own = {field: changes.pop(field) for field in vars(part) if field in changes}
            changes.setdefault(name, replace(part, **own))
        return replace(record, **changes)

    return with_changes


PLACE = Place("tensorflow", "cpu", 2)
IN_FLOAT32_ON_A_CPU = {"backend": "tensorflow", "device": "cpu", "dtype": "float32"}

# Two held-out pictures per class.
data_set = changed(
    DataSet(
        name="pets",
        classes=("cats", "dogs"),
        content_hash="c0ffee",
        input_shape=(64, 64, 3),
        train_pictures=8,
        train_labels_per_class=(4, 4),
        validation_names=("val/cats/1.jpg", "val/cats/2.jpg", "val/dogs/1.jpg", "val/dogs/2.jpg"),
        validation_labels=(0, 0, 1, 1),
        load_seconds=0.5,
    )
)

# A healthy run of two epochs on these pictures.
training_run = changed(
    TrainingRun(
        **IN_FLOAT32_ON_A_CPU,
        variant="documented",
        seed=0,
        batch_size=32,
        protocol="one-pass",
        threads=1,
        epochs=2,
        steps_per_epoch=3,
        parameters=1000,
        initial_loss=0.7,
        train_accuracy=0.875,
        train_loss=0.3,
        val_accuracy=0.75,
        val_loss=0.5,
        seconds=4.0,
        evaluation_seconds=0.25,
        unchanged_weights=(),
        prediction_difference=0.0,
        dead_units={"conv2d": 0.0, "dense": 0.125},
        weights_sha256="ab" * 32,
        data_hash="c0ffee",
        fingerprint="f00d",
        non_finite=None,
        history={
            "loss": (0.6, 0.4),
            "accuracy": (0.625, 0.75),
            "val_loss": (0.65, 0.5),
            "val_accuracy": (0.5, 0.75),
        },
        val_probabilities=((0.25,), (0.625,), (0.75,), (0.875,)),
    )
)

# A batch of eight that was learnt by heart.
sanity_run = changed(
    SanityRun(
        **IN_FLOAT32_ON_A_CPU,
        kind="memorization",
        variant="documented",
        seed=0,
        batch_size=8,
        steps=50,
        accuracy=1.0,
        loss=0.01,
        seconds=2.0,
    )
)

# Inference of 32 pictures per step at 64 pictures per second.
measurement = changed(
    Measurement(
        row=Row("documented", "inference", "float32", 32, 0),
        place=PLACE,
        fingerprint="f00d",
        data_hash="",
        warmup_rounds=1,
        steps_per_round=2,
        round_seconds=(1.0, 1.0, 1.0),
        latency_seconds=(0.25, 0.25, 0.5),
        first_step_seconds=3.0,
        peak_memory_mb=512.0,
    )
)


def processes(*seconds: float, **changes: Any) -> list[Measurement]:
    """Returns measurements of processes whose rounds took these seconds."""
    numbered = enumerate(seconds)
    return [measurement(process=n, round_seconds=(s,) * 3, **changes) for n, s in numbered]


# The same answers as the reference's, but for rounding.
agreement = changed(
    records.Agreement(
        pictures=1000, equal_share=1.0, probability_difference=1e-6, accuracy_difference=0.0
    )
)

# A timer that waited: four times the steps took four times as long.
timing_proof = changed(
    records.TimingProof(steps=(4, 8, 16), seconds=(0.1, 0.2, 0.4), drain_seconds=0.0001)
)

placement = changed(
    records.Placement(devices=("cpu",), weight_dtypes=("float32",), compute_dtypes=("float32",))
)

# The limits of the CPU that `measurement` was measured on.
peak = changed(
    records.Peak(
        place=PLACE,
        dtype="float32",
        matmul_flops_per_second=1e11,
        convolution_flops_per_second=5e10,
    )
)

# A passed check of all seeds of a variant.
check_result = changed(
    CheckResult(
        **IN_FLOAT32_ON_A_CPU,
        check="accuracy",
        variant="documented",
        seed=None,
        batch_size=32,
        verdict="pass",
        observed=0.75,
        threshold=0.7,
        detail="held-out accuracy 0.7500",
    )
)


# Runs with chosen answers to a hundred held-out pictures, for what gates are made of

LABELS = (0, 1) * 50


def run_of(
    wrong: int | Iterable[int] = 0, labels: Sequence[int] = LABELS, **changes: Any
) -> TrainingRun:
    """Returns a run that is wrong on these pictures, or on the first so many."""
    missed = set(range(wrong) if isinstance(wrong, int) else wrong)
    answers = [1 - label if n in missed else label for n, label in enumerate(labels)]
    return training_run(
        val_accuracy=1 - len(missed) / len(labels),
        val_probabilities=tuple((0.9,) if answer else (0.1,) for answer in answers),
        **changes,
    )


def runs_of(*wrong: int | Iterable[int], **changes: Any) -> list[TrainingRun]:
    """Returns a run for each number, under the seeds 0, 1, ..."""
    return [run_of(count, seed=seed, **changes) for seed, count in enumerate(wrong)]


def constant_run(answer: int = 0, labels: Sequence[int] = LABELS, **changes: Any) -> TrainingRun:
    """Returns a run that gives every picture the same answer."""
    return run_of([n for n, label in enumerate(labels) if label != answer], labels, **changes)
