"""Keras' training step on one device or on several of this process; one class a backend.

Built by hand around Keras' own step, because `train_on_batch` can't be used: under a strategy of
TensorFlow it gives every replica the whole batch (same loss, nothing gained), and with both
backends it waits for each step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from cnnbench.batches import Pictures
from cnnbench.model import build_model, targets_for
from cnnbench.training import seeded_model
from cnnbench.variants import Variant

Weights = Sequence[npt.NDArray[Any]]

_STRATEGY: list[tuple[list[str], Any]] = []  # at most one


@dataclass(frozen=True)
class Shard:
    """The part of a tensor that lies on one device."""

    device: str
    shape: tuple[int, ...]


class Trainer(Protocol):
    """Keras' training steps on one device or on several."""

    model: keras.Model

    def put(self, pictures: npt.NDArray[np.uint8], targets: npt.NDArray[Any]) -> Any:
        """Copies a batch to the devices, an equal share to each; returns when it is there."""

    def step(self, batch: Any) -> Any:
        """Queues one training step; returns what `synchronize` makes its loss of."""

    def reset(self) -> None:
        """Forgets the batches whose mean the loss would be; the next step's is its own."""

    def synchronize(self, loss: Any) -> float:
        """Returns the loss, in nats, after all queued work is done."""

    def batch_shards(self, batch: Any) -> tuple[Shard, ...]:
        """Returns where the pictures of a batch lie."""

    def weight_shards(self) -> tuple[Shard, ...]:
        """Returns where the first weight lies."""


def make_trainer(
    variant: Variant,
    side: Pictures,
    classes: int,
    seed: int,
    count: int,
    weights: Weights | None = None,
    kind: str = "cpu",
) -> Trainer:
    """Returns a trainer of a new model on `count` devices; 1 is Keras without a distribution.

    Raises:
        ValueError: if the backend has no data-parallel training in one process, or too few devices.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise ValueError(
            f"Keras trains on several devices of one process with TensorFlow or JAX only. "
            f"Received: backend={backend!r}, count={count}"
        )
    policy = keras.config.dtype_policy()
    height, width, channels = side.pictures.shape[1:]
    input_shape = (height, width, channels)
    # Drawn outside: this clears Keras' session, which would forget a distribution and the policy.
    first = seeded_model(variant, seed, input_shape, classes)
    weights = first.get_weights() if weights is None else weights
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(seed)  # for what is drawn in training
    one = Pictures(side.pictures[:count], side.labels[:count])

    def build() -> keras.Model:
        model = build_model(variant, input_shape, classes)
        model.jit_compile = backend == "jax"  # Keras has no XLA under TensorFlow's strategies
        model.set_weights(weights)
        model.optimizer.build(model.trainable_variables)
        # Makes the metrics' variables, and changes no weight.
        model.test_on_batch(one.pictures, targets_for(model, one.labels, classes))
        model.reset_metrics()
        return model

    return (TensorFlowTrainer if backend == "tensorflow" else JaxTrainer)(kind, count, build)


class JaxTrainer:
    """Steps through `keras.distribution.DataParallel`."""

    def __init__(self, kind: str, count: int, build: Callable[[], keras.Model]) -> None:
        import jax

        self._jax = jax
        devices = [d for d in jax.devices() if (d.platform == "cpu") == (kind == "cpu")]
        _require_devices(len(devices), count, kind)
        names = [f"{d.platform}:{d.id}" for d in devices[:count]]
        self._distribution = keras.distribution.DataParallel(devices=names) if count > 1 else None
        self._device = devices[0]
        keras.distribution.set_distribution(self._distribution)
        try:
            self.model = build()
        finally:
            keras.distribution.set_distribution(None)
        model = self.model
        values = (model.trainable_variables, model.non_trainable_variables)
        self._state = tuple([v.value for v in one] for one in (*values, model.optimizer.variables))
        self._metrics = self._fresh = [v.value for v in model.metrics_variables]
        self._step = jax.jit(
            lambda state, metrics, data: model.train_step((*state, metrics), data),
            donate_argnums=0,
            out_shardings=(
                None,
                jax.tree.map(lambda value: value.sharding, (*self._state, self._metrics)),
            ),
        )

    def put(self, pictures: npt.NDArray[np.uint8], targets: npt.NDArray[Any]) -> Any:
        place = self._device
        batch = []
        for array in (pictures, targets):
            if self._distribution is not None:
                place = self._distribution.get_data_layout(array.shape).backend_layout
            batch.append(self._jax.device_put(array, place))
        return self._jax.block_until_ready(tuple(batch))

    def step(self, batch: Any) -> Any:
        logs, (*state, self._metrics) = self._step(self._state, self._metrics, batch)
        self._state = tuple(state)
        return logs["loss"]

    def reset(self) -> None:
        self._metrics = self._fresh

    def synchronize(self, loss: Any) -> float:
        self._jax.block_until_ready((self._state, self._metrics))
        return float(loss)

    def batch_shards(self, batch: Any) -> tuple[Shard, ...]:
        return self._shards(batch[0])

    def weight_shards(self) -> tuple[Shard, ...]:
        return self._shards(self._state[0][0])

    def _shards(self, array: Any) -> tuple[Shard, ...]:
        return tuple(
            Shard(f"{part.device.platform}:{part.device.id}", tuple(part.data.shape))
            for part in array.addressable_shards
        )


class TensorFlowTrainer:
    """Steps through `tf.distribute.MirroredStrategy`."""

    def __init__(self, kind: str, count: int, build: Callable[[], keras.Model]) -> None:
        import tensorflow as tf

        self._tf = tf
        _require_devices(len(tf.config.list_logical_devices(kind.upper())), count, kind)
        self._devices = [f"{kind.upper()}:{number}" for number in range(count)]
        self._strategy = _mirrored(self._devices) if count > 1 else tf.distribute.get_strategy()
        with self._strategy.scope():
            self.model = build()
            self.model.make_train_function()

    def put(self, pictures: npt.NDArray[np.uint8], targets: npt.NDArray[Any]) -> Any:
        batch = tuple(self._shared(array) for array in (pictures, targets))
        self._tf.test.experimental.sync_devices()
        return batch

    def _shared(self, array: npt.NDArray[Any]) -> Any:
        parts = np.split(array, len(self._devices))

        def part(context: Any) -> Any:
            number = context.replica_id_in_sync_group
            with self._tf.device(self._devices[number]):
                return self._tf.identity(parts[number])

        return self._strategy.experimental_distribute_values_from_function(part)

    def step(self, batch: Any) -> Any:
        return self.model.train_function(iter([batch]))["loss"]

    def reset(self) -> None:
        self.model.reset_metrics()

    def synchronize(self, loss: Any) -> float:
        self._tf.test.experimental.sync_devices()
        return float(loss)

    def batch_shards(self, batch: Any) -> tuple[Shard, ...]:
        return self._shards(batch[0])

    def weight_shards(self) -> tuple[Shard, ...]:
        return self._shards(self.model.trainable_variables[0].value)

    def _shards(self, tensor: Any) -> tuple[Shard, ...]:
        return tuple(
            Shard(":".join(part.device.lower().split(":")[-2:]), tuple(part.shape))
            for part in self._strategy.experimental_local_results(tensor)
        )


def _mirrored(devices: list[str]) -> Any:
    """Returns the process' one strategy.

    Each strategy numbers its groups and collective operations anew, and TensorFlow keeps what a
    number stood for: a second strategy fails at the first model of another shape.
    """
    import tensorflow as tf

    if not _STRATEGY:
        _STRATEGY.append((devices, tf.distribute.MirroredStrategy(devices)))
    taken, strategy = _STRATEGY[0]
    if taken != devices:
        raise ValueError(
            f"With TensorFlow a process trains on one set of devices, here {', '.join(taken)}. "
            f"Received: devices={devices}"
        )
    return strategy


def check_shards(
    batch: Sequence[Shard], weight: Sequence[Shard], count: int, batch_size: int
) -> None:
    """Checks that a batch was shared equally by `count` devices, and that each had the weights.

    Raises:
        RuntimeError: if not; the message says where the tensors lay.
    """
    shares = {shard.device: shard.shape[0] for shard in batch}
    expected = dict.fromkeys(shares, batch_size // count)
    replicas = {shard.device for shard in weight}
    whole = len({shard.shape for shard in weight}) == 1
    if len(shares) != count or shares != expected or replicas != set(shares) or not whole:
        raise RuntimeError(
            f"Expected {batch_size // count} pictures and all weights on each of {count} devices. "
            f"Received: batch={list(batch)}, weight={list(weight)}"
        )


def _require_devices(found: int, count: int, kind: str) -> None:
    if found < count:
        raise ValueError(
            f"Expected {count} devices of this kind; the backend sees {found}. "
            f"Received: count={count}, kind={kind!r}"
        )
