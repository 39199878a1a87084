"""Training on several devices; those that need them run in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cnnbench import replicas
from cnnbench.backends import worker_variables
from cnnbench.batches import Pictures
from cnnbench.data_parallel import (
    LOSS_TOLERANCE,
    Scaling,
    measure_scaling,
    set_up_devices,
    train_in_parallel,
)
from cnnbench.images.dataset import Splits
from cnnbench.replicas import Shard, check_shards, make_trainer
from cnnbench.variants import VARIANTS

COUNT, BATCH, STEPS = 4, 32, 30
PARALLEL_BACKENDS = ("tensorflow", "jax")
DOCUMENTED = VARIANTS["documented"]

CHILD = """
import json, sys
from cnnbench.data_parallel import measure_scaling, set_up_devices, train_in_parallel
backend, part, count, batch, steps = *sys.argv[1:3], *map(int, sys.argv[3:])
set_up_devices(backend, f"cpu*{count}")
import numpy as np
from tiny import picture
from cnnbench import replicas
from cnnbench.batches import Pictures
from cnnbench.variants import VARIANTS
rng = np.random.default_rng(0)
labels = np.arange(4 * batch, dtype=np.int64) % 2
side = Pictures(np.stack([picture(int(label), rng) for label in labels]), labels)
variant = VARIANTS["documented"]
def trained(devices, steps=steps, name="documented"):
    return train_in_parallel(VARIANTS[name], side, 2, 0, devices, batch, steps)
one, many = trained(1), trained(count)
found = dict(
    one=one.losses, many=many.losses,
    batch=[(s.device, s.shape) for s in many.batch],
    weight=[(s.device, s.shape) for s in many.weight],
)
if part == "curves":
    print(json.dumps(found))
    sys.exit()
other = trained(count, 2, "global-pooling")
scaling = measure_scaling(variant, side, 2, 0, count, 8, rounds=2, warmup_rounds=1,
                          steps_per_round=3)
def refused(devices):
    try:
        trained(devices, 1)
    except ValueError as error:
        return str(error)
def computed(devices):
    trainer = replicas.make_trainer(variant, side, 2, 0, devices)
    put = trainer.put(side.pictures[:batch], side.labels[:batch, None].astype("float32"))
    if backend == "jax":  # operations of the program that each device runs
        program = trainer._step.lower(trainer._state, trainer._metrics, put).compile()
        return program.cost_analysis()["flops"]
    import tensorflow as tf
    strategy = trainer._strategy
    rows = tf.function(lambda: strategy.run(lambda x: tf.shape(x)[0], args=(put[0],)))()
    return max(int(n) for n in strategy.experimental_local_results(rows))
share = computed(count) / computed(1)
real = replicas.np.split
def lost(array, parts):  # the last device sees its neighbour's share
    return [*real(array, parts)[:-1], real(array, parts)[-2]]
replicas.np.split = lost
wrong = trained(count).losses if backend == "tensorflow" else ()
replicas.np.split = real
print(json.dumps(found | dict(
    other=len(other.losses), share=share, wrong=wrong, refused=refused(2),
    single=scaling.single_seconds, parallel=scaling.parallel_seconds,
)))
"""


@cache
def said(backend: str, part: str) -> dict[str, Any]:
    """Returns what a process with four virtual devices says."""
    pytest.importorskip(backend)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, backend, part, *map(str, (COUNT, BATCH, STEPS))],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
            **worker_variables(backend, f"cpu*{COUNT}", 2),
        },
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {"backend": backend, **json.loads(done.stdout.splitlines()[-1])}


ALL = [pytest.param((backend, "all"), marks=pytest.mark.slow) for backend in PARALLEL_BACKENDS]


@pytest.fixture(scope="module", params=ALL, ids="-".join)
def child(request: pytest.FixtureRequest) -> dict[str, Any]:
    return said(*request.param)


@pytest.fixture(scope="module", params=[("jax", "curves"), *ALL], ids="-".join)
def curves(request: pytest.FixtureRequest) -> dict[str, Any]:
    return said(*request.param)


def test_four_devices_have_the_loss_curve_of_one(curves: dict[str, Any]) -> None:
    assert len(curves["many"]) == STEPS
    np.testing.assert_allclose(curves["many"], curves["one"], rtol=LOSS_TOLERANCE, atol=0)
    assert curves["one"][-1] < curves["one"][0] / 5  # it is a curve that learns


def test_a_share_that_is_lost_is_another_loss_curve(child: dict[str, Any]) -> None:
    if child["backend"] == "jax":
        pytest.skip("JAX splits the batch itself")
    difference = np.abs(np.divide(child["wrong"], child["one"]) - 1).max()
    assert difference > 100 * LOSS_TOLERANCE


def test_each_device_has_its_share_of_the_batch_and_all_weights(curves: dict[str, Any]) -> None:
    devices = [f"cpu:{number}" for number in range(COUNT)]
    assert curves["batch"] == [[device, [BATCH // COUNT, 24, 24, 3]] for device in devices]
    assert curves["weight"] == [[device, [3, 3, 3, 32]] for device in devices]


def test_each_device_computes_its_share_only(child: dict[str, Any]) -> None:
    assert child["share"] < 0.3  # of what one device computes for the same batch


def test_a_process_trains_several_models_on_several_devices(child: dict[str, Any]) -> None:
    assert child["other"] == 2


def test_scaling_is_measured_on_real_devices(child: dict[str, Any]) -> None:
    assert len(child["single"]) == len(child["parallel"]) == 2
    assert min(*child["single"], *child["parallel"]) > 0


def test_tensorflow_takes_one_set_of_devices_a_process(child: dict[str, Any]) -> None:
    if child["backend"] == "jax":
        assert child["refused"] is None
    else:
        assert "a process trains on one set of devices, here CPU:0" in child["refused"]
        assert "Received: devices=['CPU:0', 'CPU:1']" in child["refused"]


def test_too_few_devices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected 2 devices; tensorflow sees 0. Received: dev"):
        set_up_devices("tensorflow", "gpu*2")


def test_pytorch_is_refused_with_the_backends_that_can() -> None:
    with pytest.raises(ValueError, match=r"TensorFlow or JAX only. Received: backend='torch'"):
        set_up_devices("torch", "cpu*4")
    set_up_devices("torch", "cpu")


# Training in this process, which has one device


@pytest.fixture
def side(tiny_splits: Splits) -> Pictures:
    return Pictures(tiny_splits.train_pictures(), tiny_splits.train.labels)


def test_weights_may_be_given(side: Pictures) -> None:
    variant = VARIANTS["single-block"]
    weights = make_trainer(variant, side, 2, 5, 1).model.get_weights()
    given = train_in_parallel(variant, side, 2, 0, 1, 8, 1, weights)
    drawn = train_in_parallel(variant, side, 2, 0, 1, 8, 1)
    assert given.losses != drawn.losses
    assert train_in_parallel(variant, side, 2, 0, 1, 8, 1).losses == drawn.losses


def test_the_dtype_policy_stays(side: Pictures) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_trainer(VARIANTS["single-block"], side, 2, 0, 1).model
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[-1].dtype_policy.name == "mixed_bfloat16"


def test_a_batch_that_can_not_be_shared_is_refused(side: Pictures) -> None:
    with pytest.raises(ValueError, match=r"shared equally.*batch_size=10, count=4"):
        train_in_parallel(DOCUMENTED, side, 2, 0, 4, 10, 1)


def test_more_devices_than_there_are_is_refused(side: Pictures) -> None:
    with pytest.raises(ValueError, match=r"the backend sees 1. Received: count=9, kind='cpu'"):
        train_in_parallel(DOCUMENTED, side, 2, 0, 9, 9, 1)


def test_a_trainer_of_pytorch_is_refused(side: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match=r"JAX only. Received: backend='torch', count=2"):
        make_trainer(DOCUMENTED, side, 2, 0, 2)


# Where tensors lie


def shards(*devices: str, rows: int = 8) -> list[Shard]:
    return [Shard(device, (rows, 3)) for device in devices]


def test_equal_shares_with_all_weights_are_fine() -> None:
    check_shards(shards("cpu:0", "cpu:1"), shards("cpu:0", "cpu:1"), 2, 16)


@pytest.mark.parametrize(
    ("batch", "weight"),
    [
        (shards("cpu:0", rows=16), shards("cpu:0", "cpu:1")),  # all on one
        (shards("cpu:0", "cpu:1", rows=16), shards("cpu:0", "cpu:1")),  # all on each
        (shards("cpu:0"), shards("cpu:0")),  # half of it is lost
        (shards("cpu:0", "cpu:0"), shards("cpu:0", "cpu:1")),  # shares on one device
        (shards("cpu:0", "cpu:1"), shards("cpu:0")),  # weights on one
        (shards("cpu:0", "cpu:1"), [Shard("cpu:0", (8, 3)), Shard("cpu:1", (4, 3))]),
    ],
)
def test_other_places_are_found_out(batch: list[Shard], weight: list[Shard]) -> None:
    with pytest.raises(RuntimeError, match=r"Expected 8 pictures and all weights on each of 2 dev"):
        check_shards(batch, weight, 2, 16)


# Scaling


class Fake:
    """A trainer whose steps are queued, and cost their time when they are waited for."""

    log: list[str]
    now: float = 0.0

    def __init__(self, devices: int) -> None:
        self.model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        self.devices, self.queued = devices, 0

    def put(self, pictures: np.ndarray, targets: np.ndarray) -> int:
        return len(pictures)

    def step(self, batch: int) -> int:
        self.queued += 1
        return batch

    def synchronize(self, loss: int) -> float:
        Fake.log.append(f"{self.devices}: {self.queued} steps of {loss}")
        Fake.now += self.queued * (2.0 if self.devices == 1 else 2.5)
        self.queued = 0
        return 0.0

    def batch_shards(self, batch: int) -> list[Shard]:
        return [Shard(f"cpu:{n}", (batch // self.devices,)) for n in range(self.devices)]

    weight_shards = lambda self: self.batch_shards(4)  # noqa: E731


@pytest.fixture
def scaled(side: Pictures, monkeypatch: pytest.MonkeyPatch) -> Scaling:
    monkeypatch.setattr(Fake, "log", [], raising=False)
    monkeypatch.setattr(Fake, "now", 0.0)
    monkeypatch.setattr(replicas, "make_trainer", lambda *given: Fake(given[4]))
    return measure_scaling(
        DOCUMENTED,
        side,
        2,
        0,
        4,
        8,
        rounds=2,
        warmup_rounds=1,
        steps_per_round=3,
        clock=lambda: Fake.now,
    )


def test_rounds_are_timed_in_turn_and_waited_for(scaled: Scaling) -> None:
    one, many = "1: 3 steps of 8", "4: 3 steps of 32"
    assert Fake.log == ["1: 1 steps of 8", "4: 1 steps of 32", one, many, many, one, one, many]
    assert scaled.single_seconds == (6.0, 6.0)
    assert scaled.parallel_seconds == (7.5, 7.5)


def test_efficiency_is_the_speed_of_all_against_so_many_of_one(scaled: Scaling) -> None:
    assert scaled.single_images_per_second == 4.0
    assert scaled.images_per_second == 12.8
    assert scaled.efficiency == pytest.approx(0.8)
