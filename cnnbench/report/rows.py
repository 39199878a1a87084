"""Rows of every table, derived from records: what follows from raw seconds and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median, quantiles
from typing import Any

import numpy as np

from cnnbench.machine.telemetry import concerns
from cnnbench.records.records import (
    CheckResult,
    DataSet,
    Environment,
    Measurement,
    Peak,
    Record,
    TrainingRun,
)
from cnnbench.report.tables import KEY, SCHEMA
from cnnbench.stats.answers import classes_of

TableRow = dict[str, Any]

# Jobs finish in another order each time; the rows of tables do not.
ORDER = (*KEY, "workload", "process", "epoch", "round")


def tables_of(records: Iterable[Record]) -> dict[str, list[TableRow]]:
    """Returns the rows of every table of `SCHEMA`."""
    records = list(records)
    data = next((one for one in records if isinstance(one, DataSet)), None)
    peaks = {(one.place, one.dtype): one for one in records if isinstance(one, Peak)}
    identity = next((one.content for one in records if isinstance(one, Environment)), {})
    tables: dict[str, list[TableRow]] = {name: [] for name in SCHEMA}
    for record in records:
        if isinstance(record, TrainingRun):
            tables["runs"].append(_run_row(record, data))
            tables["epochs"] += _epoch_rows(record)
            tables["predictions"] += _prediction_rows(record, data) if data else []
        elif isinstance(record, Measurement):
            peak = peaks.get((record.place, record.row.dtype))
            tables["throughput"].append(throughput_row(record, peak))
            tables["rounds"] += _round_rows(record)
        elif isinstance(record, Peak):
            tables["peaks"].append(_row("peaks", record))
        elif isinstance(record, CheckResult):
            tables["checks"].append(_row("checks", record))
    for row in (*tables["runs"], *tables["throughput"]):
        row["commit"] = identity.get("commit") or ""
    for name in tables.keys() - {"checks"}:  # these stay in the order in which they were judged
        columns = [column for column in ORDER if column in SCHEMA[name]]
        tables[name].sort(key=lambda row: [row[column] for column in columns])
    return tables


def throughput_row(measurement: Measurement, peak: Peak | None = None) -> TableRow:
    """Returns the row of `throughput.csv` that a measurement makes; the peak is that of its place.

    Step time is the median over rounds, images per second follow from it, and the spread is the
    interquartile range. A batch that did not fit into memory has none of them.
    """
    steps = [seconds / measurement.steps_per_round for seconds in measurement.round_seconds]
    low, _, high = quantiles(steps, n=4, method="inclusive") if len(steps) > 1 else (0.0,) * 3
    calls, copies = measurement.latency_seconds, measurement.copy_seconds
    # By the nearest rank: a latency that was really measured.
    p90, p99 = np.quantile(calls or math.nan, (0.9, 0.99), method="inverted_cdf").tolist()
    placement, proof = measurement.placement, measurement.timing
    telemetry = measurement.telemetry
    watts, pictures = telemetry.get("watts"), measurement.row.batch_size * len(steps)
    # Where some layers compute in another dtype (Keras' int8), no single peak is the limit.
    is_mixed = placement is not None and len(placement.compute_dtypes) > 1
    limit = peak.limit if peak and not is_mixed else 0.0
    flops_per_second = measurement.images_per_second * (measurement.flops_per_picture or 0.0)
    return _row(
        "throughput",
        measurement,
        **(vars(measurement.agreement) if measurement.agreement else {}),
        images_per_second=measurement.images_per_second if steps else None,
        step_time_ms=median(steps) * 1e3 if steps else None,
        step_time_iqr_ms=(high - low) * 1e3 if steps else None,
        latency_p50_ms=median(calls) * 1e3 if calls else None,
        latency_p90_ms=p90 * 1e3 if calls else None,
        latency_p99_ms=p99 * 1e3 if calls else None,
        copy_ms=median(copies) * 1e3 if copies else None,
        out_of_memory="yes" if measurement.out_of_memory else "",
        queue_linearity=proof.linearity if proof else None,
        drain_ms=proof.drain_seconds * 1e3 if proof else None,
        placed_on="+".join(placement.devices) if placement else "",
        weight_dtype="+".join(placement.weight_dtypes) if placement else "",
        compute_dtype="+".join(placement.compute_dtypes) if placement else "",
        percent_of_peak=100 * flops_per_second / limit if flops_per_second and limit else None,
        watts=watts,
        joules_per_1000=watts * sum(steps) / pictures * 1000 if watts and pictures else None,
        clock_mhz=telemetry.get("clock_mhz_last"),
        throttled=str(telemetry.get("throttled", "")),
        concerns="; ".join(concerns(telemetry)),
        rounds=len(steps),
        latency_calls=len(calls),
    )


def _row(table: str, record: Record, **derived: Any) -> TableRow:
    """Returns a row of a table: what was derived, else the record's field of that name."""
    found = vars(record) | derived
    for part in ("row", "place"):
        found |= vars(found[part]) if part in found else {}
    return {column: found.get(column) for column in SCHEMA[table]}


def _run_row(run: TrainingRun, data: DataSet | None) -> TableRow:
    return _row(
        "runs",
        run,
        data=data.name if data else "",
        validation_pictures=len(data.validation_labels) if data else None,
        generalization_gap=run.generalization_gap,
        unchanged_weights=len(run.unchanged_weights),
        worst_dead_share=max(run.dead_units.values(), default=None),
    )


def _epoch_rows(run: TrainingRun) -> Iterator[TableRow]:
    # A column that the history lacks is empty, and not the run's own field of that name.
    unknown = dict.fromkeys(set(SCHEMA["epochs"]) - set(KEY))
    for at in range(run.epochs):
        history = {name: values[at] for name, values in run.history.items()}
        yield _row("epochs", run, **unknown | history | {"epoch": at + 1})


def _round_rows(measurement: Measurement) -> Iterator[TableRow]:
    steps = measurement.steps_per_round
    for number, seconds in enumerate(measurement.round_seconds, start=1):
        yield _row("rounds", measurement, round=number, steps=steps, seconds=seconds)


def _prediction_rows(run: TrainingRun, data: DataSet) -> Iterator[TableRow]:
    answered = classes_of(np.array(run.val_probabilities))
    for name, label, answer, predicted in zip(
        data.validation_names, data.validation_labels, run.val_probabilities, answered, strict=True
    ):
        shares = (1 - answer[0], answer[0]) if len(answer) == 1 else answer
        yield _row(
            "predictions",
            run,
            picture=name,
            true_class=data.classes[label],
            predicted_class=data.classes[predicted] if predicted >= 0 else "",
            probability=shares[predicted] if predicted >= 0 else math.nan,
            probability_of_true=shares[label],
        )
