"""Records with sensible values, for tests to change where it matters."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from cnnbench.machine.backends import Place
from cnnbench.records.checks import CheckResult
from cnnbench.records.measurements import (
    Agreement,
    Measurement,
    Peak,
    Placement,
    Row,
    TimingProof,
)
from cnnbench.records.runs import DataSet, SanityRun, TrainingRun


def data_set(**changes: Any) -> DataSet:
    """Returns a set of four held-out pictures, two a class."""
    data = DataSet(
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
    return replace(data, **changes)


def training_run(**changes: Any) -> TrainingRun:
    """Returns a healthy run of two epochs on the pictures of `data_set`."""
    run = TrainingRun(
        variant="documented",
        seed=0,
        backend="tensorflow",
        device="cpu",
        dtype="float32",
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
    return replace(run, **changes)


def sanity_run(**changes: Any) -> SanityRun:
    """Returns a batch of eight that was learnt by heart."""
    run = SanityRun(
        kind="memorization",
        variant="documented",
        seed=0,
        backend="tensorflow",
        device="cpu",
        dtype="float32",
        batch_size=8,
        steps=50,
        accuracy=1.0,
        loss=0.01,
        seconds=2.0,
    )
    return replace(run, **changes)


def measurement(**changes: Any) -> Measurement:
    """Returns inference of 32 pictures a step at 64 pictures a second.

    Fields of its row and of its place are changed by their own names.
    """
    timed = Measurement(
        row=_part(Row("documented", "inference", "float32", 32, 0), changes),
        place=_part(Place("tensorflow", "cpu", 2), changes),
        fingerprint="f00d",
        data_hash="",
        warmup_rounds=1,
        steps_per_round=2,
        round_seconds=(1.0, 1.0, 1.0),
        latency_seconds=(0.25, 0.25, 0.5),
        first_step_seconds=3.0,
        peak_memory_mb=512.0,
    )
    return replace(timed, **changes)


def _part(part: Any, changes: dict[str, Any]) -> Any:
    """Takes the changes of a record's part out and returns it with them."""
    own = [field.name for field in fields(part) if field.name in changes]
    return replace(part, **{name: changes.pop(name) for name in own})


def agreement(**changes: Any) -> Agreement:
    """Returns the same answers as the reference's, but for rounding."""
    same = Agreement(
        pictures=1000, equal_share=1.0, probability_difference=1e-6, accuracy_difference=0.0
    )
    return replace(same, **changes)


def timing_proof(**changes: Any) -> TimingProof:
    """Returns a timer that waited: four times the steps took four times as long."""
    proof = TimingProof(steps=(4, 8, 16), seconds=(0.1, 0.2, 0.4), drain_seconds=0.0001)
    return replace(proof, **changes)


def placement(**changes: Any) -> Placement:
    """Returns tensors on a CPU in float32."""
    placed = Placement(devices=("cpu",), weight_dtypes=("float32",), compute_dtypes=("float32",))
    return replace(placed, **changes)


def peak(**changes: Any) -> Peak:
    """Returns the limits of the CPU that `measurement` was measured on."""
    limits = Peak(
        place=_part(Place("tensorflow", "cpu", 2), changes),
        dtype="float32",
        matmul_flops_per_second=1e11,
        convolution_flops_per_second=5e10,
    )
    return replace(limits, **changes)


def check_result(**changes: Any) -> CheckResult:
    """Returns a passed check of all seeds of a variant."""
    result = CheckResult(
        check="accuracy",
        variant="documented",
        seed=None,
        backend="tensorflow",
        device="cpu",
        dtype="float32",
        batch_size=32,
        verdict="pass",
        observed=0.75,
        threshold=0.7,
        detail="held-out accuracy 0.7500",
    )
    return replace(result, **changes)
