"""What is timed: training steps, inference steps and the latency of a single picture."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

from cnnbench import backends
from cnnbench.images.dataset import Splits
from cnnbench.model import targets_for
from cnnbench.records import Measurement, Workload
from cnnbench.timing import Step, time_calls, time_rounds
from cnnbench.training import Place, seeded_model
from cnnbench.variants import Variant

LATENCY_CALLS = 300  # enough for a 99th percentile with three calls above it
LATENCY_WARMUP_CALLS = 20


@dataclass(frozen=True)
class Batch:
    """What every step of a workload works on, in memory.

    `pictures` are uint8 `(batch_size, height, width, 3)`, `labels` int64 `(batch_size,)`.
    """

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class FirstStep:
    """A workload whose first step was made: a model, the next step, and what it cost."""

    model: keras.Model
    step: Step
    seconds: float


def draw_batch(splits: Splits, batch_size: int, seed: int) -> Batch:
    """Returns training pictures drawn by the seed; fewer than a batch are repeated."""
    labels = splits.train.labels
    rows = np.resize(np.random.default_rng(seed).permutation(len(labels)), batch_size)
    return Batch(np.ascontiguousarray(splits.train_pictures()[rows]), labels[rows])


def make_first_step(
    variant: Variant, splits: Splits, workload: Workload, batch: Batch, seed: int
) -> FirstStep:
    """Builds a model and makes the first step, which compiles it.

    A training step is Keras' `train_on_batch` and an inference step `predict_on_batch`,
    uint8 pictures in memory to numbers in memory.

    Args:
        variant: whose model is built, with the weights that the seed draws.
        splits: say the input shape and the classes.
        workload: `train` or `inference`.
        batch: what each step works on.
        seed: of the weights.

    Returns:
        The model, a synchronized step and the seconds of all of this.
    """
    classes = len(splits.classes)
    start = time.perf_counter()
    model = seeded_model(variant, seed, splits.input_shape, classes)
    targets = targets_for(model, batch.labels, classes)

    def train_step() -> object:
        return model.train_on_batch(batch.pictures, targets)

    def inference_step() -> object:
        return model.predict_on_batch(batch.pictures)

    step = train_step if workload == "train" else inference_step
    step()
    return FirstStep(model, step, time.perf_counter() - start)


def measure(
    variant: Variant,
    splits: Splits,
    workload: Workload,
    batch_size: int,
    seed: int,
    place: Place,
    *,
    rounds: int,
    warmup_rounds: int,
) -> Measurement:
    """Measures one workload at one batch size in this process; `make_first_step` says what.

    Args:
        variant: whose model is built and timed, with the weights that the seed draws.
        splits: training pictures are the batches; fewer than a batch are repeated.
        workload: `train` or `inference`.
        batch_size: pictures a step.
        seed: of the weights.
        place: backend, device and threads, as they stand in this process.
        rounds: timed rounds.
        warmup_rounds: rounds before them.

    Returns:
        Raw seconds, time to the first step and peak memory.
    """
    batch = draw_batch(splits, batch_size, seed)
    backends.reset_peak_memory(place.backend, place.device)
    first = make_first_step(variant, splits, workload, batch, seed)
    timed = time_rounds(first.step, rounds=rounds, warmup_rounds=warmup_rounds)
    latency: tuple[float, ...] = ()
    if workload == "inference":
        single = batch.pictures[:1]
        time_calls(lambda: first.model.predict_on_batch(single), LATENCY_WARMUP_CALLS)
        latency = time_calls(lambda: first.model.predict_on_batch(single), LATENCY_CALLS)
    return Measurement(
        variant=variant.name,
        seed=seed,
        workload=workload,
        backend=place.backend,
        device=place.device,
        dtype=keras.backend.floatx(),
        batch_size=batch_size,
        threads=place.threads,
        steps_per_round=timed.steps_per_round,
        warmup_rounds=warmup_rounds,
        round_seconds=timed.seconds,
        latency_seconds=latency,
        first_step_seconds=first.seconds,
        peak_memory_mb=backends.peak_memory_mb(place.backend, place.device),
        fingerprint=variant.fingerprint(),
    )
