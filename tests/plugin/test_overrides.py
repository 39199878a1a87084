"""What a user's own fixtures and parameters say counts everywhere."""

from __future__ import annotations

import pytest

from cnnbench.session.workers.jobs import MakeReference, Measure, Sanity, Train

GATE = "def test_it(cnnbench_validation_loss_rise): pass"
PARTS = ["cnnbench_seed", "cnnbench_variant"]
SPEED = "def test_speed(cnnbench_inference_throughput): pass\n"


def fixture(name: str, value: object, arguments: str = "", params: str = "") -> str:
    return f"@pytest.fixture({params})\ndef cnnbench_{name}({arguments}): return {value}\n"


def test_fixtures_say_what_is_measured(world, own):
    world.gpus = ("H", "H")
    conftest = fixture("variant", "'dropout'") + fixture("backend", "'jax'")
    conftest += fixture("device", "'gpu:1'") + fixture("dtype", "'bfloat16'")
    assert own(SPEED, conftest=conftest + fixture("batch_size", 8)).code == 0
    (job,) = world.of(Measure)
    (place,) = (place for place, one in world.done if one == job)
    assert (place.backend, place.device, job.variant.name) == ("jax", "gpu:1", "dropout")
    assert (job.row.variant, job.row.dtype, job.row.batch_size) == ("dropout", "bfloat16", 8)
    # What the options say is prepared no more.
    assert [reference.variant.name for reference in world.of(MakeReference)] == ["dropout"]


def test_a_fixture_says_the_workload(world, own):
    own("def test_it(cnnbench_measured): pass", conftest=fixture("workload", "'train'"))
    assert [job.row.workload for job in world.of(Measure)] == ["train"]


def test_fixtures_say_what_is_trained(world, own):
    tests = """
def test_run(cnnbench_run): assert (cnnbench_run.variant, cnnbench_run.seed) == ("dropout", 7)
def test_runs(cnnbench_runs): assert {run.variant for run in cnnbench_runs} == {"dropout"}
def test_sanity(cnnbench_memorization): assert cnnbench_memorization.variant == "dropout"
"""
    assert own(tests, conftest=fixture("variant", "'dropout'") + fixture("seed", 7)).code == 0
    assert {job.variant.name for job in world.of(Train, Sanity)} == {"dropout"}


def test_a_fixture_says_whose_threshold_it_is(world, own, pytester):
    (pytester.path / "targets.toml").write_text("[default.dropout]\naccuracy = 0.625\n")
    tests = "def test_it(cnnbench_variant, cnnbench_target): assert cnnbench_target('accuracy')"
    run = own(f"{tests} == 0.625", conftest=fixture("variant", "'dropout'"))
    assert run.outcomes == {"test_it": "passed"}


def test_a_fixture_may_have_parameters_of_its_own(world, own):
    conftest = fixture("batch_size", "request.param", "request", "params=[8, 16]")
    run = own(SPEED, conftest=conftest)
    names = [f"test_speed[{size}-wide-tensorflow-cpu-float32]" for size in (8, 16)]
    assert list(run.outcomes) == names
    assert [job.row.batch_size for job in world.of(Measure)] == [8, 16]


@pytest.mark.parametrize("names", [", ".join(PARTS), PARTS])
def test_a_test_may_have_parameters_of_its_own(world, own, names):
    run = own(
        f"@pytest.mark.parametrize({names!r}, [(7, 'dropout')])\n"
        "def test_run(cnnbench_run):\n"
        "    assert (cnnbench_run.variant, cnnbench_run.seed) == ('dropout', 7)"
    )
    assert run.outcomes == {"test_run[7-dropout]": "passed"}
    assert len(world.of(Train)) == 1


def test_a_fixture_may_change_what_it_overrides(world, own):
    conftest = fixture("batch_size", "2 * cnnbench_batch_size", "cnnbench_batch_size")
    own(SPEED, "--cnnbench-batch-sizes=8,16", conftest=conftest)
    assert [job.row.batch_size for job in world.of(Measure)] == [16, 32]


def test_a_device_that_is_absent_is_a_skip_that_says_so(world, own):
    run = own(SPEED, conftest=fixture("device", "'gpu'"))
    assert "tensorflow sees no GPU" in run.messages["test_speed[wide-tensorflow-float32-32]"]


@pytest.mark.parametrize(("asks", "name"), [("", "test_it"), ("cnnbench_variant", "test_it[wide]")])
def test_the_variant_of_a_gate_must_be_known_before(world, own, asks, name):
    message = own(GATE, conftest=fixture("variant", "'dropout'", asks)).messages[name]
    assert "All gates of a session must be known before the first is judged" in message
    assert "@pytest.mark.cnnbench(variants=...)" in message
    assert "Received: cnnbench_validation_loss_rise of dropout" in message


def test_a_gate_knows_the_parameters_of_a_fixture(world, own):
    conftest = fixture("variant", "request.param", "request", "params=['dropout']")
    run = own(GATE, "--cnnbench-seeds=0-1", conftest=conftest)
    assert "mark.cnnbench" not in run.output
    assert {job.variant.name for job in world.of(Train)} == {"dropout"}


def test_a_gate_must_be_an_argument(world, own):
    tests = "def test_it(request, cnnbench_runs): request.getfixturevalue('cnnbench_accuracy')"
    assert "Received: cnnbench_accuracy of wide" in own(tests).messages["test_it[wide]"]
