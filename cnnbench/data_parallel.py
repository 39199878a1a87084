"""Training over several devices at once: each holds all weights and a share of every batch.

JAX goes through `keras.distribution.DataParallel`, TensorFlow through
`tf.distribute.MirroredStrategy`; Keras has no way to do it with PyTorch in one process. `cpu*4`
are four virtual devices: they share the same cores, so a scaling efficiency there shows that it
works and nothing about speed. Batch normalization sees a device's own share in TensorFlow and the
whole batch in JAX, and TensorFlow draws dropout and augmentation per device: only variants without
them promise the loss curve of one device.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnbench.backends import DeviceName
from cnnbench.timing import Clock

if TYPE_CHECKING:
    from cnnbench.batches import Pictures
    from cnnbench.replicas import Shard, Trainer, Weights
    from cnnbench.variants import Variant

# Of a loss in float32 over 30 steps, relative: devices add gradients up in another order. Measured
# on 4 virtual CPU devices: at most 1.2e-6; one share that is lost makes more than 1e-3.
LOSS_TOLERANCE = 1e-5


@dataclass(frozen=True)
class ParallelTraining:
    """What a training over several devices did.

    `losses` are the mean losses of each batch before its step, in nats. `batch` and `weight` say
    where the first batch and the first weight lay, read off the tensors after the last step.
    """

    losses: tuple[float, ...]
    batch: tuple[Shard, ...]
    weight: tuple[Shard, ...]


@dataclass(frozen=True)
class Scaling:
    """Weak scaling: rounds of one device and of all, each device with `batch_size` pictures."""

    devices: int
    batch_size: int
    steps_per_round: int
    single_seconds: tuple[float, ...]
    parallel_seconds: tuple[float, ...]

    @property
    def single_images_per_second(self) -> float:
        """What one of the devices does alone: from the median round."""
        return self.batch_size * self.steps_per_round / statistics.median(self.single_seconds)

    @property
    def images_per_second(self) -> float:
        """What all devices do together: from the median round."""
        pictures = self.devices * self.batch_size * self.steps_per_round
        return pictures / statistics.median(self.parallel_seconds)

    @property
    def efficiency(self) -> float:
        """1 where `devices` devices are as many times faster than one."""
        return self.images_per_second / (self.devices * self.single_images_per_second)


def set_up_devices(backend: str, device: str) -> None:
    """Splits the CPU into virtual devices, and makes sure that there are as many as were asked for.

    Runs once in a worker, before its backend computes anything.

    Raises:
        ValueError: if the backend can't train on several devices, or if there are too few.
    """
    name = DeviceName.parse(device)
    kind, count = name.kind, name.count
    if count == 1:
        return
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            f"Keras trains on several devices of one process with TensorFlow or JAX only. "
            f"Received: backend={backend!r}, device={device!r}"
        )
    if backend == "tensorflow":
        import tensorflow as tf

        if kind == "cpu":
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            cpu = tf.config.list_physical_devices("CPU")[0]
            tf.config.set_logical_device_configuration(cpu, parts)
        found = len(tf.config.list_logical_devices(kind.upper()))
    else:
        import jax

        found = sum((d.platform == "cpu") == (kind == "cpu") for d in jax.devices())
    if found < count:
        raise ValueError(
            f"Expected {count} devices; {backend} sees {found}. Received: device={device!r}"
        )


def train_in_parallel(
    variant: Variant,
    side: Pictures,
    classes: int,
    seed: int,
    count: int,
    batch_size: int,
    steps: int,
    weights: Weights | None = None,
    kind: str = "cpu",
) -> ParallelTraining:
    """Trains on `count` devices of this process; with the same arguments, on the same batches.

    Args:
        variant: what is trained.
        side: pictures uint8 `(n, height, width, channels)` and their labels.
        classes: number of classes.
        seed: of the weights and of the order of the pictures.
        count: devices; 1 trains without any distribution.
        batch_size: of the global batch, over all devices; the last of a pass is filled up.
        steps: training steps.
        weights: to begin with, instead of those that the seed draws.
        kind: `cpu` or `gpu`.

    Returns:
        The loss of each step, and where batch and weights lay.

    Raises:
        ValueError: if the batch can't be shared equally, or the backend can't do it.
        RuntimeError: if a batch or a weight was not on all devices.
    """
    import numpy as np

    from cnnbench.batches import epoch_batches
    from cnnbench.model import targets_for
    from cnnbench.replicas import check_shards, make_trainer

    if batch_size % count:
        raise ValueError(
            f"A batch must be shared equally by the devices. "
            f"Received: batch_size={batch_size}, count={count}"
        )
    trainer = make_trainer(variant, side, classes, seed, count, weights, kind)
    targets = targets_for(trainer.model, side.labels, classes)
    losses, first = [], None
    for rows in epoch_batches(len(side.labels), batch_size, steps, seed, 0):
        rows = np.resize(rows, batch_size)  # the last of a pass may be too small to be shared
        batch = trainer.put(side.pictures[rows], targets[rows])
        first = batch if first is None else first
        trainer.reset()
        losses.append(trainer.synchronize(trainer.step(batch)))
    placed = trainer.batch_shards(first), trainer.weight_shards()
    check_shards(*placed, count, batch_size)
    return ParallelTraining(tuple(losses), *placed)


def measure_scaling(
    variant: Variant,
    side: Pictures,
    classes: int,
    seed: int,
    count: int,
    batch_size: int,
    *,
    rounds: int,
    warmup_rounds: int,
    steps_per_round: int,
    kind: str = "cpu",
    clock: Clock = time.perf_counter,
) -> Scaling:
    """Times training on one device and on all of them, round by round in turn.

    Batches lie on the devices before the clock starts; it is read when all work is done.

    Args:
        variant: what is trained.
        side: pictures and labels; fewer than a batch are repeated.
        classes: number of classes.
        seed: of the weights and the pictures drawn.
        count: devices.
        batch_size: pictures a device, so `count` times as many a step of all of them.
        rounds: timed rounds of each.
        warmup_rounds: rounds of each before them, whose times are thrown away.
        steps_per_round: queued steps a round.
        kind: `cpu` or `gpu`.
        clock: returns seconds.

    Raises:
        ValueError: if the backend can't do it.
        RuntimeError: if a batch or a weight was not on all devices.
    """
    import numpy as np

    from cnnbench.model import targets_for
    from cnnbench.replicas import check_shards, make_trainer

    order = np.random.default_rng(seed).permutation(len(side.labels))
    ready: list[tuple[Trainer, Any]] = []
    for devices in (1, count):
        trainer = make_trainer(variant, side, classes, seed, devices, None, kind)
        rows = np.resize(order, devices * batch_size)
        batch = trainer.put(
            side.pictures[rows], targets_for(trainer.model, side.labels[rows], classes)
        )
        trainer.synchronize(trainer.step(batch))
        check_shards(trainer.batch_shards(batch), trainer.weight_shards(), devices, len(rows))
        ready.append((trainer, batch))
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(warmup_rounds + rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):  # neither is always the first
            seconds[which].append(_round(*ready[which], steps_per_round, clock))
    single, parallel = (tuple(one[warmup_rounds:]) for one in seconds)
    return Scaling(count, batch_size, steps_per_round, single, parallel)


def _round(trainer: Trainer, batch: Any, steps: int, clock: Clock) -> float:
    """Times queued steps; nothing is in the queue when the clock is read."""
    start = clock()
    loss: Any = None
    for _ in range(steps):
        loss = trainer.step(batch)
    trainer.synchronize(loss)
    return clock() - start
