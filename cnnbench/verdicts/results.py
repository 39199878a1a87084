"""Check results, with the variant and the place of what was checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnbench.records.records import CheckResult, Measurement, SanityRun, TrainingRun

Checked = TrainingRun | SanityRun | Measurement | Sequence[TrainingRun] | None


def result_of(
    check: str,
    checked: Checked,
    observed: float,
    threshold: float,
    detail: str,
    *,
    passed: bool | None = None,
) -> CheckResult:
    """Returns a pass if `observed` is at most `threshold`, or if `passed` says so, else a fail."""
    passed = observed <= threshold if passed is None else passed
    return CheckResult(
        check=check,
        **place_of(checked),
        verdict="pass" if passed else "fail",
        observed=float(observed),
        threshold=float(threshold),
        detail=detail,
    )


def place_of(checked: Checked) -> dict[str, Any]:
    """Returns variant, place and seed of a record; several runs have no seed, pictures nothing."""
    if checked is None:
        return {}
    if isinstance(checked, Sequence):
        return {**place_of(checked[0]), "seed": None}
    own = vars(checked)
    if isinstance(checked, Measurement):
        own = {**vars(checked.row), **vars(checked.place)}
    names = ("variant", "seed", "backend", "device", "dtype", "batch_size")
    return {name: own[name] for name in names}
