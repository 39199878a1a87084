"""What a user's own fixtures and parameters say counts everywhere."""

from __future__ import annotations

import pytest

GATE = """
def test_gate(cnnbench_validation_loss_rise, cnnbench_judge):
    cnnbench_judge(cnnbench_validation_loss_rise)
"""
SPEED = "def test_speed(cnnbench_inference_throughput): pass\n"


def fixture(name: str, value: object, arguments: str = "", params: str = "") -> str:
    return f"@pytest.fixture({params})\ndef cnnbench_{name}({arguments}): return {value}\n"


def test_fixtures_say_what_is_measured(world, own):
    conftest = "".join(
        [
            fixture("variant", "'wide'"),
            fixture("backend", "'jax'"),
            fixture("device", "'gpu:1'"),
            fixture("dtype", "'bfloat16'"),
            fixture("batch_size", 8),
        ]
    )
    run = own(SPEED, conftest=conftest)
    assert run.outcomes == {"test_speed": "passed"}
    ((place, job),) = world.measured
    assert (place.backend, place.device, job.variant.name) == ("jax", "gpu:1", "wide")
    assert (job.row.variant, job.row.dtype, job.row.batch_size) == ("wide", "bfloat16", 8)
    assert world.rows == []  # what the options say is not measured


def test_a_fixture_says_the_workload(world, own):
    own("def test_it(cnnbench_measured): pass", conftest=fixture("workload", "'train'"))
    assert {job.row.workload for _, job in world.measured} == {"train"}


def test_fixtures_say_what_is_trained(world, own):
    tests = """
def test_run(cnnbench_run): assert (cnnbench_run.variant, cnnbench_run.seed) == ("wide", 7)
def test_runs(cnnbench_runs): assert {run.variant for run in cnnbench_runs} == {"wide"}
def test_sanity(cnnbench_memorization): assert cnnbench_memorization.variant == "wide"
"""
    run = own(tests, conftest=fixture("variant", "'wide'") + fixture("seed", 7))
    assert set(run.outcomes.values()) == {"passed"}, run.output
    assert world.planned == []


def test_a_fixture_says_whose_threshold_it_is(world, own, pytester):
    (pytester.path / "targets.toml").write_text("[default.wide]\naccuracy = 0.625\n")
    tests = """
def test_it(cnnbench_variant, cnnbench_target):
    assert cnnbench_target("accuracy") == 0.625
"""
    assert own(tests, conftest=fixture("variant", "'wide'")).outcomes == {"test_it": "passed"}


def test_a_fixture_with_parameters_of_its_own_is_planned(world, own):
    run = own(
        SPEED,
        "--cnnbench-variants=wide",
        conftest=fixture("batch_size", "request.param", "request", "params=[8, 16]"),
    )
    assert list(run.outcomes) == [
        "test_speed[8-wide-tensorflow-cpu-float32]",
        "test_speed[16-wide-tensorflow-cpu-float32]",
    ]
    assert [job.row.batch_size for job in world.rows] == [8, 16]
    assert [job.row.batch_size for _, job in world.measured] == [8, 16]


@pytest.mark.parametrize(
    "names", ["'cnnbench_seed, cnnbench_variant'", "['cnnbench_seed', 'cnnbench_variant']"]
)
def test_a_parameter_of_the_test_is_planned(world, own, names):
    run = own(
        f"@pytest.mark.parametrize({names}, [(7, 'wide')])\n"
        "def test_run(cnnbench_run):\n"
        "    assert (cnnbench_run.variant, cnnbench_run.seed) == ('wide', 7)"
    )
    assert run.outcomes == {"test_run[7-wide]": "passed"}
    assert world.planned == [("wide", 7)]


def test_a_fixture_may_change_what_it_overrides(world, own):
    run = own(
        SPEED,
        "--cnnbench-variants=wide",
        "--cnnbench-batch-sizes=8,16",
        conftest=fixture("batch_size", "2 * cnnbench_batch_size", "cnnbench_batch_size"),
    )
    assert len(run.outcomes) == 2
    assert [job.row.batch_size for _, job in world.measured] == [16, 32]


def test_a_backend_that_is_absent_is_a_skip_that_says_so(world, own):
    world.why_absent = lambda backend, device: f"no {backend} for {device}"
    run = own(SPEED, "--cnnbench-variants=wide", conftest=fixture("backend", "'jax'"))
    assert run.messages["test_speed[wide-cpu-float32-32]"].startswith("no jax for cpu")


@pytest.mark.parametrize("value", ["'wide'", "'documented'"])
def test_the_variant_of_a_gate_must_be_known_before(world, own, value):
    run = own(GATE, conftest=fixture("variant", value))
    message = run.messages["test_gate"]
    assert "All gates of a session must be known before the first is judged" in message
    assert "@pytest.mark.cnnbench(variants=...)" in message
    assert f"Received: cnnbench_validation_loss_rise of {value[1:-1]}" in message


def test_a_gate_of_another_variant_than_was_known_is_an_error(world, own):
    conftest = fixture("variant", "'wide'", "cnnbench_variant")
    run = own(GATE, "--cnnbench-variants=dropout", conftest=conftest)
    assert "Received: cnnbench_validation_loss_rise of wide" in run.messages["test_gate[dropout]"]


def test_a_variant_with_parameters_is_known_before(world, own):
    conftest = fixture("variant", "request.param", "request", "params=['wide']")
    assert own(GATE, conftest=conftest).outcomes == {"test_gate[wide]": "passed"}


def test_a_gate_that_no_argument_requests_is_an_error(world, own):
    run = own(
        "def test_it(request, cnnbench_runs): request.getfixturevalue('cnnbench_accuracy')",
        "--cnnbench-variants=wide",
    )
    assert "Received: cnnbench_accuracy of wide" in run.messages["test_it[wide]"]
