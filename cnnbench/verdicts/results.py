"""Check results, with the variant and the place of what was checked."""

from __future__ import annotations

from typing import Any

from cnnbench.records.records import CheckResult, Measurement, SanityRun, TrainingRun

Checked = TrainingRun | SanityRun | Measurement


def result_of(
    check: str,
    checked: Checked | None,
    *,
    passed: bool,
    observed: float,
    threshold: float,
    detail: str,
    seed: int | None = None,
) -> CheckResult:
    """Returns the result of a check; pictures have neither variant nor place."""
    return CheckResult(
        check=check,
        **(place_of(checked) if checked else {}),
        seed=seed,
        verdict="pass" if passed else "fail",
        observed=float(observed),
        threshold=float(threshold),
        detail=detail,
    )


def place_of(checked: Checked) -> dict[str, Any]:
    """Returns the variant and the place that a result takes over from a record."""
    names = ("variant", "backend", "device", "dtype", "batch_size")
    own = vars(checked)
    if isinstance(checked, Measurement):
        own = {**vars(checked.row), **vars(checked.place)}
    return {name: own[name] for name in names}
