"""What the networks of a report answered, as plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cnnbench.comparing.recipes import Answers
from cnnbench.report.frames import Report

CONDITIONS = (
    *("fingerprint", "protocol", "epochs", "steps_per_epoch"),
    *("backend", "device", "dtype", "batch_size", "threads"),
)


def variants_of(report: Report) -> tuple[str, ...]:
    """Returns the variants whose answers are in the report."""
    return tuple(dict.fromkeys(report.predictions["variant"]))


def answers_of_report(report: Report, variant: str, label: str) -> Answers:
    """Returns the answers of one variant's networks.

    Args:
        report: with predictions.
        variant: one of `variants_of`.
        label: names these answers in what people read.

    Raises:
        ValueError: if the variant is not in the report, or its runs are not one a seed, each with
            an answer to the same pictures.
    """
    known = variants_of(report)
    if variant not in known:
        raise ValueError(
            "No answers of this variant in the report; it has those of "
            f"{', '.join(known) or 'none'}. Received: variant={variant!r}, report={label!r}"
        )
    runs = report.runs[report.runs["variant"] == variant]
    rows = report.predictions[report.predictions["variant"] == variant]
    groups = {int(seed): own for seed, own in rows.groupby("seed", sort=True)}
    one = next(iter(groups.values()))
    names = tuple(one["picture"])
    odd = [seed for seed, own in groups.items() if tuple(own["picture"]) != names]
    if len(set(names)) < len(names) or odd:
        raise ValueError(
            "Expected one run a seed, each with one answer to the same pictures. "
            f"Received: variant={variant!r}, report={label!r}, seeds={runs['seed'].tolist()}"
        )
    if runs["data_hash"].nunique() != 1:
        raise ValueError(
            "Expected runs on the same pictures. Received: "
            f"variant={variant!r}, report={label!r}, data_hash={sorted(set(runs['data_hash']))}"
        )
    classes = _classes(report, rows)
    return Answers(
        label=label,
        data=str(runs["data"].iloc[0]),
        data_hash=str(runs["data_hash"].iloc[0]),
        classes=classes,
        pictures=names,
        truth=_numbers(one["true_class"], classes),
        seeds=tuple(groups),
        given=np.stack([_numbers(own["predicted_class"], classes) for own in groups.values()]),
        conditions={name: ", ".join(map(str, sorted(set(runs[name])))) for name in CONDITIONS},
    )


def _classes(report: Report, rows: pd.DataFrame) -> tuple[str, ...]:
    # A report of records without an environment does not contain their order.
    stated = (report.environment.get("data") or {}).get("classes")
    return tuple(stated or sorted({*rows["true_class"], *rows["predicted_class"]}))


def _numbers(names: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    number = {name: at for at, name in enumerate(classes)}
    return np.array([number[name] for name in names], np.int64)
