"""Checks of measurements: the same answers, a timer that waits, tensors where they belong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnnbench.machine.backends import TRAINING_BACKENDS, kind_of
from cnnbench.records.records import LINEAR, CheckResult, Measurement, Workload
from cnnbench.verdicts.results import result_of


@dataclass(frozen=True)
class Tolerance:
    """How far answers may be from those of float32 on a CPU: shares, and one of probabilities."""

    equal_share: float
    probability_difference: float
    accuracy_difference: float


# bfloat16 keeps 8 bits of a number and float16 11; int8 256 steps of a layer's range. A network
# that answers wrongly is off by far more: one frozen at its first weights by 0.5.
TOLERANCES = {
    "float32": Tolerance(0.999, 1e-4, 0.001),
    "bfloat16": Tolerance(0.98, 0.05, 0.01),
    "float16": Tolerance(0.99, 0.02, 0.01),
    "int8": Tolerance(0.97, 0.10, 0.01),
}
# TF32 keeps 11 bits where a GPU computes float32 with it.
TF32 = Tolerance(0.995, 0.01, 0.005)

# What is left after the clock stopped, as a share of the longest queue: the copy of one answer.
DRAIN_SHARE = 0.10
DRAIN_SECONDS = 0.002

# By how much a backend's count may differ from the products counted from the layers. Backends also
# count elementwise operations: at most 2.5 % of the built-in variants' inference (a layer that is
# forgotten is 6.8 % or more, a convolution that is counted without its channels far more), and
# 5.3 % in training with batch normalization, whose statistics have gradients of their own.
COUNT_TOLERANCE: dict[Workload, float] = {"inference": 0.05, "train": 0.1}


def check_same_answers(measurement: Measurement) -> CheckResult | str:
    """Passes if the timed program's answers are those of float32 on a CPU.

    Returns the result, whose `observed` is the share of equal answers, or why there is none.
    """
    found = measurement.agreement
    if found is None:
        return _out_of_memory(measurement) or measurement.not_compared or "there is no reference"
    tf32 = measurement.tf32 not in ("", "off") and measurement.row.dtype == "float32"
    allowed = TF32 if tf32 else TOLERANCES[measurement.row.dtype]
    # One picture is the least by which accuracy can differ at all, whatever rounding makes of it.
    accuracy = max(allowed.accuracy_difference, 1 / found.pictures) + 1e-12
    largest = allowed.probability_difference
    bounds = (
        ("equal predictions", found.equal_share, allowed.equal_share, math.inf),
        ("largest probability difference", found.probability_difference, -math.inf, largest),
        ("accuracy difference", found.accuracy_difference, -accuracy, accuracy),
    )
    wrong = []
    for name, value, least, most in bounds:
        if not least <= value <= most:  # NaN is within no bounds
            below = value < least or math.isinf(most)
            bound = f"at least {least:.4g}" if below else f"at most {most:.4g}"
            wrong.append(f"{name} {value:.4g}, {bound}")
    seen = ", ".join(f"{name} {value:.4g}" for name, value, _, _ in bounds)
    told = f"{seen} beside float32 on a CPU, {found.pictures} held-out pictures"
    return _result("same_answers", measurement, found.equal_share, allowed.equal_share, wrong, told)


def check_timer_waits(measurement: Measurement) -> CheckResult | str:
    """Passes if the timer waits for the work: the time of queued steps grows with them.

    Returns the result, whose `observed` is the growth relative to the steps, or why there is none.
    """
    proof = measurement.timing
    if proof is None:
        return _out_of_memory(measurement) or "no queued steps were timed"
    left = max(DRAIN_SHARE * proof.seconds[-1], DRAIN_SECONDS)
    wrong = []
    if not proof.is_linear:
        wrong.append(
            f"time does not grow with queued steps: {proof.linearity:.2f} of what it should, "
            f"expected {LINEAR[0]} to {LINEAR[1]}"
        )
    if proof.drain_seconds > left:
        wrong.append(
            f"{proof.drain_seconds * 1e3:.1f} ms of work were left when the clock stopped, at most "
            f"{left * 1e3:.1f} ms: the timer does not wait"
        )
    queued = zip(proof.steps, proof.seconds, strict=True)
    told = ", ".join(f"{steps} steps {seconds * 1e3:.1f} ms" for steps, seconds in queued)
    return _result("timer_waits", measurement, proof.linearity, LINEAR[0], wrong, told)


def check_placement(measurement: Measurement) -> CheckResult | str:
    """Passes if tensors lie where the row says, and have its dtype.

    Returns the result, whose `observed` is the number of faults, or why there is none.
    """
    found = measurement.placement
    if found is None:
        return _out_of_memory(measurement) or "the placement is unknown"
    kind, dtype = kind_of(measurement.place.device), measurement.row.dtype
    seen = (found.devices, found.weight_dtypes, found.compute_dtypes)
    devices, weights, computing = map(", ".join, seen)
    wrong = []
    if found.devices != (kind,):
        wrong.append(f"tensors lie on {devices}, expected {kind}")
    # Keras quantizes dense layers alone.
    keras_int8 = dtype == "int8" and measurement.place.backend in TRAINING_BACKENDS
    expected = ("float32", "int8") if keras_int8 else (dtype,)
    if found.compute_dtypes != expected:
        wrong.append(f"layers compute in {computing}, expected {', '.join(expected)}")
    if dtype == "float32" and found.weight_dtypes != ("float32",):
        wrong.append(f"weights are {weights}, expected float32")
    told = f"on {devices}, weights {weights}, computing in {computing}"
    return _result("placement", measurement, len(wrong), 0, wrong, told)


def check_flops(measurement: Measurement) -> CheckResult | str:
    """Passes if the operations counted from the layers are those that the backend counts.

    Returns the result, whose `observed` is the share by which they differ, or why there is none.
    """
    own, counted = measurement.flops_per_picture, measurement.backend_flops_per_picture
    backend, workload = measurement.place.backend, measurement.row.workload
    if not own or counted is None:
        work = "training" if workload == "train" else workload
        unknown = f"{backend} does not count the operations of {work}"
        if not own:
            unknown = "the operations of some layers are unknown"
        return _out_of_memory(measurement) or unknown
    apart, tolerance = abs(counted / own - 1), COUNT_TOLERANCE[workload]
    wrong = ["operations differ"] if apart > tolerance else []
    told = f"{own:.4g} a picture from the layers, {counted:.4g} by {backend}"
    return _result("flops", measurement, apart, tolerance, wrong, told)


def _out_of_memory(measurement: Measurement) -> str:
    if not measurement.out_of_memory:
        return ""
    return f"batch size {measurement.row.batch_size} does not fit into memory"


def _result(
    check: str,
    measured: Measurement,
    observed: float,
    threshold: float,
    wrong: list[str],
    told: str,
) -> CheckResult:
    detail = f"{measured.row.workload}: {'; '.join([*wrong, told])}"
    return result_of(check, measured, observed, threshold, detail, passed=not wrong)
