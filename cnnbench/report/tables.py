"""The schema of every table, written once, and its rows, derived from records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from cnnbench.records.checks import CheckResult
from cnnbench.records.codec import Record
from cnnbench.records.measurements import Measurement, Peak
from cnnbench.records.runs import DataSet, TrainingRun
from cnnbench.report.rows import KEY, Row, throughput_row

# Column -> pandas dtype. Names contain units; nothing is rounded.
SCHEMA: dict[str, dict[str, str]] = {
    "runs": {
        **KEY,
        "protocol": "str",
        "threads": "int64",
        "epochs": "int64",
        "steps_per_epoch": "int64",
        "train_accuracy": "float64",
        "val_accuracy": "float64",
        "train_loss": "float64",
        "val_loss": "float64",
        "initial_loss": "float64",
        "generalization_gap": "float64",
        "parameters": "int64",
        "seconds": "float64",
        "evaluation_seconds": "float64",
        "unchanged_weights": "int64",
        "prediction_difference": "float64",
        "worst_dead_share": "float64",
        "weights_sha256": "str",
        "fingerprint": "str",
        "data": "str",
        "data_hash": "str",
    },
    "epochs": {
        **KEY,
        "epoch": "int64",
        "loss": "float64",
        "accuracy": "float64",
        "val_loss": "float64",
        "val_accuracy": "float64",
        "monitor_loss": "float64",
    },
    "rounds": {
        **KEY,
        "workload": "str",
        "process": "int64",
        "round": "int64",
        "steps": "int64",
        "seconds": "float64",
    },
    "throughput": {
        **KEY,
        "workload": "str",
        "process": "int64",
        "threads": "int64",
        "images_per_second": "float64",
        "step_time_ms": "float64",
        "step_time_iqr_ms": "float64",
        "latency_p50_ms": "float64",
        "latency_p90_ms": "float64",
        "latency_p99_ms": "float64",
        "first_step_seconds": "float64",
        "copy_ms": "float64",
        "peak_memory_mb": "float64",
        "out_of_memory": "str",
        "equal_share": "float64",
        "probability_difference": "float64",
        "accuracy_difference": "float64",
        "queue_linearity": "float64",
        "drain_ms": "float64",
        "placed_on": "str",
        "weight_dtype": "str",
        "compute_dtype": "str",
        "tf32": "str",
        "flops_per_picture": "float64",
        "backend_flops_per_picture": "float64",
        "percent_of_peak": "float64",
        "watts": "float64",
        "joules_per_1000": "float64",
        "clock_mhz": "float64",
        "throttled": "str",
        "concerns": "str",
        "rounds": "int64",
        "steps_per_round": "int64",
        "warmup_rounds": "int64",
        "latency_calls": "int64",
        "fingerprint": "str",
        "data_hash": "str",
    },
    "peaks": {
        "backend": "str",
        "device": "str",
        "dtype": "str",
        "threads": "int64",
        "matmul_flops_per_second": "float64",
        "convolution_flops_per_second": "float64",
    },
    "checks": {
        "check": "str",
        **KEY,
        "verdict": "str",
        "observed": "float64",
        "threshold": "float64",
        "low": "float64",
        "high": "float64",
        "p_value": "float64",
        "alpha": "float64",
        "values": "Int64",
        "detail": "str",
    },
    "predictions": {
        **KEY,
        "picture": "str",
        "true_class": "str",
        "predicted_class": "str",
        "probability": "float64",
        "probability_of_true": "float64",
    },
}


def derive(records: Iterable[Record]) -> dict[str, list[Row]]:
    """Returns the rows of every table of `SCHEMA`."""
    records = list(records)
    data = next((r for r in records if isinstance(r, DataSet)), None)
    tables: dict[str, list[Row]] = {name: [] for name in SCHEMA}
    for record in records:
        if isinstance(record, TrainingRun):
            tables["runs"].append(_run_row(record, data))
            tables["epochs"] += _epoch_rows(record)
            if data is not None:
                tables["predictions"] += _prediction_rows(record, data)
        elif isinstance(record, Measurement):
            tables["throughput"].append(throughput_row(record, _peak_of(record, records)))
            tables["rounds"] += _round_rows(record)
        elif isinstance(record, Peak):
            row = {**asdict(record), **asdict(record.place)}
            tables["peaks"].append({column: row[column] for column in SCHEMA["peaks"]})
        elif isinstance(record, CheckResult):
            tables["checks"].append(_fields(record, SCHEMA["checks"]))
    for name, order in _ORDERS.items():
        tables[name].sort(key=order)
    return tables


def _by_key(row: Row) -> tuple[Any, ...]:
    return tuple(row[column] for column in KEY)


def _by_workload(row: Row) -> tuple[Any, ...]:
    return (*_by_key(row), row["workload"], row["process"])


# Runs finish in another order each time; their tables do not.
_ORDERS: dict[str, Callable[[Row], tuple[Any, ...]]] = {
    "runs": _by_key,
    "epochs": lambda row: (*_by_key(row), row["epoch"]),
    "predictions": _by_key,
    "throughput": _by_workload,
    "rounds": lambda row: (*_by_workload(row), row["round"]),
}


def _fields(record: Record, columns: Iterable[str]) -> Row:
    return {column: getattr(record, column) for column in columns}


def _key(record: TrainingRun) -> Row:
    return _fields(record, KEY)


def _run_row(run: TrainingRun, data: DataSet | None) -> Row:
    derived = {
        "data": data.name if data else "",
        "unchanged_weights": len(run.unchanged_weights),
        "worst_dead_share": max(run.dead_units.values(), default=None),
    }
    return {column: derived.get(column, getattr(run, column, None)) for column in SCHEMA["runs"]}


def _epoch_rows(run: TrainingRun) -> list[Row]:
    names = [name for name in SCHEMA["epochs"] if name not in KEY and name != "epoch"]
    return [
        {
            **_key(run),
            "epoch": epoch + 1,
            **{name: run.history[name][epoch] if name in run.history else None for name in names},
        }
        for epoch in range(run.epochs)
    ]


def _round_rows(measurement: Measurement) -> list[Row]:
    key = {**asdict(measurement.row), **asdict(measurement.place)}
    return [
        {
            **{name: key[name] for name in (*KEY, "workload", "process")},
            "round": number,
            "steps": measurement.steps_per_round,
            "seconds": seconds,
        }
        for number, seconds in enumerate(measurement.round_seconds, start=1)
    ]


def _prediction_rows(run: TrainingRun, data: DataSet) -> list[Row]:
    rows = []
    names, labels = data.validation_names, data.validation_labels
    for name, label, answer in zip(names, labels, run.val_probabilities, strict=True):
        shares = (1 - answer[0], answer[0]) if len(answer) == 1 else answer
        predicted = max(range(len(shares)), key=shares.__getitem__)
        rows.append(
            {
                **_key(run),
                "picture": name,
                "true_class": data.classes[label],
                "predicted_class": data.classes[predicted],
                "probability": shares[predicted],
                "probability_of_true": shares[label],
            }
        )
    return rows


def _peak_of(measurement: Measurement, records: Iterable[Record]) -> Peak | None:
    return next(
        (
            record
            for record in records
            if isinstance(record, Peak)
            and (record.place, record.dtype) == (measurement.place, measurement.row.dtype)
        ),
        None,
    )
