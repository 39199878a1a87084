import math
import re
from dataclasses import replace

import pytest
from factories import agreement, measurement, placement, timing_proof

from cnnbench.machine.backends import BACKENDS, DTYPES
from cnnbench.speed.timing import linearity
from cnnbench.verdicts.checks.speed import (
    TF32,
    TOLERANCES,
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)

CHECKS = (check_same_answers, check_timer_waits, check_placement, check_flops)


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_judged_of_a_batch_that_did_not_fit(check):
    measured = measurement(out_of_memory=True, round_seconds=(), batch_size=64)
    assert check(measured) == "batch size 64 does not fit into memory"


def test_a_result_names_the_row():
    timed = measurement(
        **{"variant": "wide", "backend": "jax", "device": "gpu", "dtype": "bfloat16"},
        batch_size=8,
        agreement=agreement(),
    )
    found = check_same_answers(timed)
    assert (found.check, found.verdict) == ("same_answers", "pass")
    key = (found.variant, found.seed, found.backend, found.device, found.dtype, found.batch_size)
    assert key == ("wide", 0, "jax", "gpu", "bfloat16", 8)
    assert found.detail.startswith("inference: equal predictions 1, largest probability")


# Answers


def answers(dtype="float32", tf32="", **changes):
    return check_same_answers(measurement(dtype=dtype, tf32=tf32, agreement=agreement(**changes)))


def test_every_dtype_has_a_tolerance():
    assert tuple(TOLERANCES) == DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_answers_at_the_tolerance_pass(dtype):
    allowed = TOLERANCES[dtype]
    edge = vars(allowed)
    assert answers(dtype, pictures=10_000, **edge).verdict == "pass"
    lost = {**edge, "accuracy_difference": -allowed.accuracy_difference}
    assert answers(dtype, pictures=10_000, **lost).verdict == "pass"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "factor", "told"),
    [
        ("equal_share", 0.99, r"equal predictions [\d.]+, at least"),
        ("probability_difference", 1.01, r"largest probability difference [\de.-]+, at most"),
        ("accuracy_difference", 1.01, r"accuracy difference [\d.]+, at most"),
        ("accuracy_difference", -1.01, r"accuracy difference -[\d.]+, at least -"),
    ],
)
def test_wrong_answers_are_red(dtype, name, factor, told):
    wrong = {name: getattr(TOLERANCES[dtype], name) * factor}
    found = answers(dtype, pictures=10_000, **wrong)
    assert found.verdict == "fail"
    assert re.search(told, found.detail)


@pytest.mark.parametrize("name", ["equal_share", "probability_difference", "accuracy_difference"])
def test_no_number_is_red(name):
    assert answers(**{name: math.nan}).verdict == "fail"


def test_accuracy_may_differ_by_one_picture():
    assert answers(pictures=10, accuracy_difference=0.1).verdict == "pass"
    assert answers(pictures=10, accuracy_difference=0.2).verdict == "fail"


def test_tf32_has_a_tolerance_of_its_own():
    difference = TF32.probability_difference
    assert answers(tf32="on", probability_difference=difference).verdict == "pass"
    assert answers(tf32="matmul off, conv on", probability_difference=difference).verdict == "pass"
    assert answers(tf32="off", probability_difference=difference).verdict == "fail"
    assert answers("bfloat16", "on", probability_difference=0.04).verdict == "pass"


# Timing


def timing(**changes):
    return check_timer_waits(measurement(timing=timing_proof(**changes)))


def test_time_that_grows_with_the_steps_is_linear():
    assert linearity(timing_proof()) == pytest.approx(1.0)
    assert timing().verdict == "pass"
    assert "4 steps 100.0 ms, 8 steps 200.0 ms, 16 steps 400.0 ms" in timing().detail


def test_what_is_paid_once_is_no_fault():
    # 50 ms once, and 25 ms a step.
    assert timing(seconds=(0.15, 0.25, 0.45)).verdict == "pass"


def test_a_clock_that_stops_when_all_is_queued_is_red():
    found = timing(seconds=(0.0001, 0.0002, 0.0004), drain_seconds=0.4)
    assert found.verdict == "fail"
    assert "400.0 ms of work were left when the clock stopped, at most 2.0 ms" in found.detail


def test_a_clock_that_does_not_grow_is_red():
    found = timing(seconds=(0.1, 0.1, 0.1))
    assert found.verdict == "fail"
    assert "time does not grow with queued steps: 0.00 of what it should" in found.detail


def test_a_clock_that_shrinks_is_red():
    assert timing(seconds=(0.4, 0.2, 0.1)).verdict == "fail"


@pytest.mark.parametrize(("drain", "verdict"), [(0.04, "pass"), (0.041, "fail")])
def test_what_is_left_is_at_most_a_tenth(drain, verdict):
    assert timing(drain_seconds=drain).verdict == verdict


# Placement


def placed(device="cpu", dtype="float32", backend="tensorflow", **changes):
    place = {"device": device, "dtype": dtype, "backend": backend}
    return check_placement(measurement(**place, placement=placement(**changes)))


@pytest.mark.parametrize("device", ["gpu", "gpu:1"])
def test_a_gpu_is_a_gpu_whatever_its_number(device):
    assert placed(device, devices=("gpu",)).verdict == "pass"


@pytest.mark.parametrize(
    ("device", "devices"), [("gpu", ("cpu",)), ("gpu", ("cpu", "gpu")), ("cpu", ("gpu",))]
)
def test_a_misplaced_model_is_red(device, devices):
    found = placed(device, devices=devices)
    assert found.verdict == "fail"
    assert f"tensors lie on {', '.join(devices)}, expected {device}" in found.detail


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_keeps_its_weights_in_float32(dtype):
    assert placed(dtype=dtype, compute_dtypes=(dtype,)).verdict == "pass"


@pytest.mark.parametrize(
    ("dtype", "computing"),
    [
        ("float32", ("bfloat16",)),
        ("bfloat16", ("float32",)),
        ("float16", ("bfloat16", "float16")),
        ("float32", ("int8",)),
        ("int8", ("float32",)),
    ],
)
def test_a_wrong_dtype_is_red(dtype, computing):
    found = placed(dtype=dtype, compute_dtypes=computing)
    assert found.verdict == "fail"
    assert f"layers compute in {', '.join(computing)}, expected" in found.detail


def test_weights_of_float32_are_float32():
    found = placed(weight_dtypes=("float16",))
    assert found.verdict == "fail"
    assert "weights are float16, expected float32" in found.detail


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_of_keras_is_that_of_dense_layers(backend):
    weights = {"weight_dtypes": ("float32", "int8")}
    keras = placed(dtype="int8", backend=backend, compute_dtypes=("float32", "int8"), **weights)
    whole = placed(dtype="int8", backend=backend, compute_dtypes=("int8",), **weights)
    exported = backend in ("openvino", "onnxruntime")
    assert (keras.verdict, whole.verdict) == (("fail", "pass") if exported else ("pass", "fail"))


# Operations


def test_two_counts_agree():
    found = check_flops(measurement(flops_per_picture=1e6, backend_flops_per_picture=1.02e6))
    assert (found.check, found.verdict) == ("flops", "pass")
    assert found.observed == pytest.approx(0.02)


def test_two_counts_that_differ_are_red():
    found = check_flops(measurement(flops_per_picture=1e6, backend_flops_per_picture=2e6))
    assert found.verdict == "fail"
    assert "operations differ" in found.detail


@pytest.mark.parametrize(
    ("name", "workload", "reason"),
    [
        ("flops_per_picture", "train", "tensorflow does not count the operations of training"),
        ("flops_per_picture", "inference", "tensorflow does not count the operations of inference"),
        ("backend_flops_per_picture", "train", "the operations of some layers are unknown"),
    ],
)
def test_one_count_alone_is_not_judged(name, workload, reason):
    assert check_flops(measurement(workload=workload, **{name: 1e6})) == reason


def test_training_without_answers_says_why_nothing_is_compared():
    assert check_same_answers(measurement(not_compared="rounding decides")) == "rounding decides"


@pytest.mark.parametrize("workload", ["inference", "train"])
def test_both_workloads_are_held_against_the_same_bound(workload):
    differing = replace(agreement(), probability_difference=2e-4)
    result = check_same_answers(measurement(workload=workload, agreement=differing))
    assert result.verdict == "fail"
