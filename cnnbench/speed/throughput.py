"""What is timed: training steps, inference steps and the latency of a single picture."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnbench.machine import backends
from cnnbench.machine.telemetry import Telemetry
from cnnbench.models.variants import Variant, variant_named
from cnnbench.pictures.batches import Pictures, drawn_batch
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Measurement, Row, Workload
from cnnbench.speed.engines.engine import HostEngine, Program, engine_for, is_out_of_memory
from cnnbench.speed.reference import Reference, Weights, agreement_of
from cnnbench.speed.timing import prove_timing, steps_per_round, time_calls, time_steps

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
        backends.place_of_this_process(),
        rounds=rounds,
        warmup_rounds=warmup_rounds,
    )


def measure_row(
    variant: Variant,
    row: Row,
    splits: Splits,
    place: backends.Place,
    *,
    rounds: int,
    warmup_rounds: int,
    reference: Path | None = None,
    exported: Path | None = None,
) -> Measurement:
    """Measures a row in this process, and whether the measurement can be believed.

    A step works on pictures that are on the device; a round queues steps and waits for all of them.
    Before it is timed, the program answers the held-out pictures: a training program after its
    first steps with new weights. These answers are compared with the reference.

    `reference` is the file of a `Reference`, whose weights replace those that the seed draws, and
    `exported` an ONNX file of the same weights, for backends that run such. A batch that does not
    fit into memory leaves a measurement without rounds.
    """
    known = Reference.load(reference) if reference else Reference({}, {})
    blank = Measurement(
        row=row,
        place=place,
        fingerprint=variant.fingerprint(),
        data_hash=splits.content_hash,
        warmup_rounds=warmup_rounds,
        not_compared=known.not_compared if row.workload == "train" else "",
        flops_per_picture=known.flops.get(row.workload),
    )
    engine = engine_for(place)
    backends.reset_peak_memory(place)
    try:
        found = _measured(variant, blank, splits, known, exported, engine, rounds)
    except Exception as error:  # each backend has its own for a full memory
        if not is_out_of_memory(error):
            raise
        found = replace(blank, out_of_memory=True)
    return replace(found, peak_memory_mb=backends.peak_memory_mb(place))


def _measured(
    variant: Variant,
    blank: Measurement,
    splits: Splits,
    known: Reference,
    exported: Path | None,
    engine: Any,
    rounds: int,
) -> Measurement:
    row, start = blank.row, time.perf_counter()
    expected = known.answers.get(row.workload)
    begun = expected or known.answers.get("inference")
    weights = begun.weights if begun else None
    program = program_for(engine, variant, row, splits, weights, exported)
    side = Pictures(splits.train_pictures(), splits.train.labels)
    first = expected.first_batch if expected else 0
    batch = drawn_batch(side, row.batch_size, row.seed, first)
    inputs = program.inputs(batch)
    engine.synchronize([program.run(*inputs)])
    first_step_seconds = time.perf_counter() - start

    agreement = None
    if expected:
        for number in range(first + 1, first + expected.steps):
            program.run(*program.inputs(drawn_batch(side, row.batch_size, row.seed, number)))
        held_out, labels = splits.validation_pictures(), splits.validation.labels
        # In whole batches: the answers are then those of the program that is timed.
        batches = math.ceil(len(labels) / row.batch_size)
        rows = np.resize(np.arange(len(labels)), (batches, row.batch_size))
        answers = np.concatenate([program.answer(held_out[each]) for each in rows])
        agreement = agreement_of(answers[: len(labels)], expected.probabilities, labels)

    def step() -> object:
        return program.run(*inputs)

    steps = steps_per_round(step, engine.synchronize)
    for _ in range(blank.warmup_rounds):
        time_steps(step, steps, engine.synchronize)
    watch = Telemetry(blank.place.device)
    round_seconds = []
    for _ in range(rounds):
        round_seconds.append(time_steps(step, steps, engine.synchronize))
        watch.sample()
    telemetry = watch.stop()
    for _ in range(PROOFS):
        proof = prove_timing(step, engine.synchronize, engine.get, steps)
        # A busy machine bends a line now and then; a timer that does not wait does so each time.
        if proof.is_linear:
            break
    copies = time_calls(lambda: engine.put(batch.pictures), COPY_WARMUPS + COPIES)
    latency: tuple[float, ...] = ()
    if row.workload == "inference":
        single = batch.pictures[:1]
        calls = LATENCY_WARMUP_CALLS + LATENCY_CALLS
        latency = time_calls(lambda: program.answer(single), calls)[LATENCY_WARMUP_CALLS:]
    return replace(
        blank,
        steps_per_round=steps,
        round_seconds=tuple(round_seconds),
        latency_seconds=latency,
        copy_seconds=copies[COPY_WARMUPS:],
        first_step_seconds=first_step_seconds,
        agreement=agreement,
        timing=proof,
        placement=program.placement(),
        tf32=engine.tf32(),
        backend_flops_per_picture=program.backend_flops(),
        telemetry=telemetry,
    )


def program_for(
    engine: Any,
    variant: Variant,
    row: Row,
    splits: Splits,
    weights: Weights | None = None,
    exported: Path | None = None,
) -> Program:
    """Compiles what is measured, with given weights in Keras' order or those that the seed draws.

    Runtimes of exported models read the ONNX file instead.
    """
    if isinstance(engine, HostEngine):
        assert exported is not None
        return engine.program(exported, row.dtype, row.batch_size)
    from cnnbench.speed.engines.keras_model import model_of

    classes = len(splits.classes)
    model = model_of(variant, row.seed, splits.input_shape, classes, row.dtype, weights)
    program: Program = engine.program(model, row.workload)
    return program
