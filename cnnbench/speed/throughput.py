"""What is timed: training steps, inference steps and the latency of a single picture."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.machine import devices
from cnnbench.machine.place import Place
from cnnbench.machine.telemetry import Telemetry
from cnnbench.models.variants import Variant, variant_named
from cnnbench.pictures.batches import Pictures, drawn_batch
from cnnbench.pictures.data_set import Splits
from cnnbench.records.measurements import Agreement, Measurement, Row, Workload
from cnnbench.speed.agreement import agreement_of
from cnnbench.speed.engines.choice import Recipe, engine_for, program_for
from cnnbench.speed.engines.engine import Program, is_out_of_memory
from cnnbench.speed.reference import Reference
from cnnbench.speed.timing import is_linear, prove_timing, time_calls, time_rounds

LATENCY_CALLS = 300  # enough for a 99th percentile with three calls above it
LATENCY_WARMUP_CALLS = 20
COPIES = 10
COPY_WARMUPS = 2
PROOFS = 3


def measure(
    variant: Variant | str,
    splits: Splits,
    workload: Workload = "inference",
    *,
    batch_size: int = 32,
    dtype: str = "float32",
    seed: int = 0,
    rounds: int = 10,
    warmup_rounds: int = 2,
) -> Measurement:
    """Measures a variant's speed in this process, with Keras' backend.

    Args:
        variant: what is measured, or its name.
        splits: the pictures, from `load_splits`.
        workload: `train` or `inference`.
        batch_size: pictures per step.
        dtype: that the model computes in: `float32`, `bfloat16` or `float16`.
        seed: of weights and batches.
        rounds: timed rounds.
        warmup_rounds: rounds before them.

    Returns:
        The raw seconds, and `images_per_second`, that of the median round.

    Raises:
        ValueError: if there is no such variant, or its model can't be built.
    """
    variant = variant_named(variant) if isinstance(variant, str) else variant
    return measure_row(
        variant,
        Row(variant.name, workload, dtype, batch_size, seed),
        splits,
        devices.place_of_this_process(),
        rounds=rounds,
        warmup_rounds=warmup_rounds,
    )


def measure_row(
    variant: Variant,
    row: Row,
    splits: Splits,
    place: Place,
    *,
    rounds: int,
    warmup_rounds: int,
    reference: Path | None = None,
    exported: Path | None = None,
) -> Measurement:
    """Measures one workload at one batch size in this process.

    A step works on uint8 pictures that lie on the device; a round queues steps and waits for all
    of them. Before it is timed, the program answers the held-out pictures (a training program
    after its first steps with new weights), beside the reference.

    Args:
        variant: whose model is built and timed.
        row: what is measured; its seed is that of the batches and, without a reference, of weights.
        splits: training pictures are the batches; fewer than a batch are repeated.
        place: backend, device and threads, as they are in this process.
        rounds: timed rounds.
        warmup_rounds: rounds before them.
        reference: file of a `Reference`, whose weights are taken.
        exported: ONNX file of the same weights, for backends that run such.

    Returns:
        Raw seconds, time to the first step, peak memory, and what proves them. A batch that does
        not fit into memory gives a record without rounds that says so.
    """
    known = Reference.load(reference) if reference else None
    flops = None
    if known is not None:
        flops = known.training_flops if row.workload == "train" else known.inference_flops
    blank = Measurement(
        row=row,
        place=place,
        fingerprint=variant.fingerprint(),
        data_hash=splits.content_hash,
        warmup_rounds=warmup_rounds,
        flops_per_picture=flops,
    )
    engine = engine_for(place)
    devices.reset_peak_memory(place.backend, place.device)
    try:
        return _measured(variant, blank, splits, known, exported, engine, rounds)
    except Exception as error:  # each backend has its own for a full memory
        if not is_out_of_memory(error):
            raise
        return replace(
            blank,
            out_of_memory=True,
            peak_memory_mb=devices.peak_memory_mb(place.backend, place.device),
        )


def _measured(
    variant: Variant,
    blank: Measurement,
    splits: Splits,
    known: Reference | None,
    exported: Path | None,
    engine: Any,
    rounds: int,
) -> Measurement:
    row, place = blank.row, blank.place
    side = Pictures(splits.train_pictures(), splits.train.labels)
    classes = len(splits.classes)
    start = time.perf_counter()
    training = known.training if known and row.workload == "train" else None
    begun = training or known
    recipe = Recipe(
        variant,
        row,
        splits.input_shape,
        classes,
        begun.weights if begun else None,
        exported,
    )
    program = program_for(engine, place.backend, recipe)
    first = training.first_batch if training else 0
    batch = drawn_batch(side, row.batch_size, row.seed, first)
    inputs = program.inputs(batch)
    engine.synchronize([program.run(*inputs)])
    first_step_seconds = time.perf_counter() - start

    for number in range(1, training.steps if training else 1):
        own = drawn_batch(side, row.batch_size, row.seed, first + number)
        program.run(*program.inputs(own))
    expected = training or (known if row.workload == "inference" else None)
    agreement = _agreement(
        program, splits, row.batch_size, expected.probabilities if expected else None
    )

    def step() -> object:
        return program.run(*inputs)

    watch = Telemetry(place.device)

    def warm() -> None:
        watch.start()
        watch.sample()

    timed = time_rounds(
        step,
        rounds=rounds,
        warmup_rounds=blank.warmup_rounds,
        synchronize=engine.synchronize,
        when_warm=warm,
        after_round=watch.sample,
    )
    seen = watch.stop()
    proof = prove_timing(step, engine.synchronize, engine.get, timed.steps_per_round)
    for _ in range(PROOFS - 1):
        if is_linear(proof):
            break
        # A busy machine bends a line now and then; a timer that does not wait does so each time.
        proof = prove_timing(step, engine.synchronize, engine.get, timed.steps_per_round)
    copies = time_calls(lambda: engine.put(batch.pictures), COPY_WARMUPS + COPIES)
    latency: tuple[float, ...] = ()
    if row.workload == "inference":
        single = batch.pictures[:1]
        time_calls(lambda: program.answer(single), LATENCY_WARMUP_CALLS)
        latency = time_calls(lambda: program.answer(single), LATENCY_CALLS)
    return replace(
        blank,
        steps_per_round=timed.steps_per_round,
        round_seconds=timed.seconds,
        latency_seconds=latency,
        first_step_seconds=first_step_seconds,
        copy_seconds=copies[COPY_WARMUPS:],
        timing=proof,
        peak_memory_mb=devices.peak_memory_mb(place.backend, place.device),
        agreement=agreement,
        not_compared=known.not_compared if known and row.workload == "train" else "",
        placement=program.placement(),
        tf32=engine.tf32(),
        backend_flops_per_picture=program.backend_flops(),
        telemetry=seen,
    )


def _agreement(
    program: Program, splits: Splits, batch_size: int, expected: npt.NDArray[np.float32] | None
) -> Agreement | None:
    if expected is None:
        return None
    held_out = splits.validation_pictures()
    answers = [
        _answer(program, held_out[start : start + batch_size], batch_size)
        for start in range(0, len(held_out), batch_size)
    ]
    return agreement_of(np.concatenate(answers), expected, splits.validation.labels)


def _answer(
    program: Program, pictures: npt.NDArray[np.uint8], batch_size: int
) -> npt.NDArray[np.float32]:
    # Repeated up to a whole batch: the answers are then those of the program that is timed.
    whole = pictures[np.arange(batch_size) % len(pictures)]
    return program.answer(whole)[: len(pictures)]
