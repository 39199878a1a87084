import math
import re

import pytest
from factories import agreement, measurement, placement, timing_proof

from cnnbench.machine.backends import BACKENDS, DTYPES
from cnnbench.verdicts.checks.speed import (
    TF32,
    TOLERANCES,
    check_flops,
    check_placement,
    check_same_answers,
    check_timer_waits,
)

CHECKS = (check_same_answers, check_timer_waits, check_placement, check_flops)
DID_NOT_FIT = {"out_of_memory": True, "round_seconds": (), "batch_size": 64}
OWN, COUNTED = {"flops_per_picture": 1e6}, {"backend_flops_per_picture": 1e6}
UNCOUNTED = "tensorflow does not count the operations of"


def answers(dtype="float32", tf32="", **changes):
    changes = {"pictures": 10_000, **changes}
    return check_same_answers(measurement(dtype=dtype, tf32=tf32, agreement=agreement(**changes)))


def placed(device="cpu", dtype="float32", backend="tensorflow", **changes):
    place = {"device": device, "dtype": dtype, "backend": backend}
    return check_placement(measurement(**place, placement=placement(**changes)))


@pytest.mark.parametrize(
    ("check", "changes", "reason"),
    [
        *((check, DID_NOT_FIT, "batch size 64 does not fit into memory") for check in CHECKS),
        (check_same_answers, {"not_compared": "rounding decides"}, "rounding decides"),
        (check_flops, OWN, f"{UNCOUNTED} inference"),
        (check_flops, {**OWN, "workload": "train"}, f"{UNCOUNTED} training"),
        (check_flops, COUNTED, "the operations of some layers are unknown"),
    ],
)
def test_what_cannot_be_judged_has_a_reason(check, changes, reason):
    assert check(measurement(**changes)) == reason


def test_a_result_names_the_row():
    row = {"variant": "wide", "seed": 3, "dtype": "bfloat16", "batch_size": 8}
    place = {"backend": "jax", "device": "gpu"}
    found = check_same_answers(measurement(**row, **place, agreement=agreement()))
    assert (found.check, found.verdict) == ("same_answers", "pass")
    assert {name: getattr(found, name) for name in (*row, *place)} == {**row, **place}
    assert found.detail.startswith("inference: equal predictions 1, largest probability")


# Answers


@pytest.mark.parametrize("dtype", DTYPES)
def test_answers_at_the_tolerance_pass(dtype):
    edge = vars(TOLERANCES[dtype])
    assert answers(dtype, **edge).verdict == "pass"
    lost = {**edge, "accuracy_difference": -edge["accuracy_difference"]}
    assert answers(dtype, **lost).verdict == "pass"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "factor", "told"),
    [
        ("equal_share", 0.99, r"equal predictions [\d.]+, at least"),
        ("probability_difference", 1.01, r"largest probability difference [\de.-]+, at most"),
        ("accuracy_difference", 1.01, r"accuracy difference [\d.]+, at most"),
        ("accuracy_difference", -1.01, r"accuracy difference -[\d.]+, at least -"),
        ("equal_share", math.nan, "equal predictions nan"),
        ("probability_difference", math.nan, "largest probability difference nan"),
        ("accuracy_difference", math.nan, "accuracy difference nan"),
    ],
)
def test_wrong_answers_are_red(dtype, name, factor, told):
    found = answers(dtype, **{name: getattr(TOLERANCES[dtype], name) * factor})
    assert found.verdict == "fail"
    assert re.search(told, found.detail)


@pytest.mark.parametrize(
    ("dtype", "tf32", "changes", "verdict"),
    [
        ("float32", "", {"pictures": 3, "accuracy_difference": 1 - 2 / 3}, "pass"),  # one picture
        ("float32", "", {"pictures": 3, "accuracy_difference": 2 / 3}, "fail"),
        ("float32", "on", vars(TF32), "pass"),
        ("float32", "matmul off, conv on", vars(TF32), "pass"),
        ("float32", "off", vars(TF32), "fail"),
        ("bfloat16", "on", {"probability_difference": 0.04}, "pass"),
    ],
)
def test_one_picture_and_tf32_have_tolerances_of_their_own(dtype, tf32, changes, verdict):
    assert answers(dtype, tf32, **changes).verdict == verdict


# Timing


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({}, "pass", "inference: 4 steps 100.0 ms, 8 steps 200.0 ms, 16 steps 400.0 ms"),
        # 50 ms that are paid once, and 25 ms a step
        ({"seconds": (0.15, 0.25, 0.45)}, "pass", "4 steps 150.0 ms"),
        ({"seconds": (0.1, 0.1, 0.1)}, "fail", "0.00 of what it should, expected 0.6 to 1.6"),
        ({"seconds": (0.4, 0.2, 0.1)}, "fail", "time does not grow with queued steps"),
        ({"drain_seconds": 0.04}, "pass", ""),
        ({"drain_seconds": 0.041}, "fail", "41.0 ms of work were left when the clock stopped"),
        # However short the queue is, 2 ms may be left.
        ({"seconds": (0.001, 0.002, 0.004), "drain_seconds": 0.002}, "pass", ""),
        ({"seconds": (0.001, 0.002, 0.004), "drain_seconds": 0.4}, "fail", "at most 2.0 ms"),
    ],
)
def test_the_time_of_queued_steps_grows_and_leaves_no_work(changes, verdict, told):
    proof = timing_proof(**changes)
    found = check_timer_waits(measurement(timing=proof))
    assert (found.check, found.verdict) == ("timer_waits", verdict)
    assert found.observed == pytest.approx(proof.linearity)
    assert told in found.detail


# Placement


@pytest.mark.parametrize(
    ("device", "dtype", "changes", "told"),
    [
        ("gpu", "float32", {"devices": ("cpu",)}, "tensors lie on cpu, expected gpu"),
        ("gpu", "float32", {"devices": ("cpu", "gpu")}, "tensors lie on cpu, gpu, expected gpu"),
        ("cpu", "float32", {"devices": ("gpu",)}, "tensors lie on gpu, expected cpu"),
        ("cpu", "float32", {"compute_dtypes": ("bfloat16",)}, "compute in bfloat16, expected f"),
        ("cpu", "bfloat16", {}, "layers compute in float32, expected bfloat16"),
        ("cpu", "int8", {}, "layers compute in float32, expected float32, int8"),
        ("cpu", "float32", {"weight_dtypes": ("float16",)}, "weights are float16, expected float"),
        ("gpu:1", "float32", {"devices": ("gpu",)}, ""),  # a GPU whatever its number
        ("cpu", "bfloat16", {"compute_dtypes": ("bfloat16",)}, ""),  # weights stay float32
        ("cpu", "float16", {"compute_dtypes": ("float16",)}, ""),
    ],
)
def test_what_lies_elsewhere_or_has_another_dtype_is_red(device, dtype, changes, told):
    found = placed(device, dtype, **changes)
    assert (found.check, found.verdict) == ("placement", "fail" if told else "pass")
    assert (found.observed, found.threshold) == (bool(told), 0.0)
    assert told in found.detail


@pytest.mark.parametrize("backend", BACKENDS)
def test_int8_of_keras_is_that_of_dense_layers(backend):
    int8 = {"dtype": "int8", "backend": backend, "weight_dtypes": ("float32", "int8")}
    keras = placed(**int8, compute_dtypes=("float32", "int8")).verdict
    whole = placed(**int8, compute_dtypes=("int8",)).verdict
    exported = backend in ("openvino", "onnxruntime")
    assert (keras, whole) == (("fail", "pass") if exported else ("pass", "fail"))


# Operations


@pytest.mark.parametrize(("counted", "verdict"), [(1.02e6, "pass"), (2e6, "fail")])
def test_two_counts_must_agree(counted, verdict):
    found = check_flops(measurement(flops_per_picture=1e6, backend_flops_per_picture=counted))
    assert (found.check, found.verdict) == ("flops", verdict)
    assert found.observed == pytest.approx(counted / 1e6 - 1)
    assert ("operations differ" in found.detail) == (verdict == "fail")
