"""The summary of a report: what closes a session and what `cnnbench show` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from cnnbench.report.frames import Report

WIDTH = 100
PLACE = ["variant", "backend", "device", "dtype", "batch_size"]
# Columns whose heads are shorter in the text.
HEADS = {
    "val_accuracy": "accuracy",
    "generalization_gap": "gap",
    "batch_size": "batch",
    "train_images_per_second": "train/s",
    "inference_images_per_second": "infer/s",
    "train_percent_of_peak": "train %",
    "inference_percent_of_peak": "infer %",
    "latency_p50_ms": "p50 ms",
    "latency_p99_ms": "p99 ms",
    "peak_memory_mb": "MB",
}
DIGITS = {"latency_p50_ms": 2, "latency_p99_ms": 2}
SPEED_CHECKS = ("same_answers", "timer_waits", "placement", "flops")
VERDICTS = {"pass": "passed", "fail": "failed", "inconclusive": "inconclusive",
            "error": "not judged"}  # fmt: skip


def accuracy_frame(report: Report) -> pd.DataFrame:
    """Returns a row for each trained variant; accuracy and gap are text, `mean ± sd`."""
    runs = report.runs.groupby("variant", sort=False)
    rows = [
        {
            "variant": variant,
            "seeds": len(own),
            "val_accuracy": _mean_sd(own["val_accuracy"]),
            "generalization_gap": _mean_sd(own["generalization_gap"]),
            "parameters": own["parameters"].iloc[0],
        }
        for variant, own in runs
    ]
    return pd.DataFrame(rows)


def speed_frame(report: Report) -> pd.DataFrame:
    """Returns a row for each variant, backend, device, dtype and batch size.

    Figures are geometric means over processes, as in `cnnbench compare`; memory is the largest.
    """
    rows = []
    for key, own in report.throughput.groupby(PLACE, sort=False):
        train, inference = (own[own["workload"] == name] for name in ("train", "inference"))
        rows.append(
            {
                **dict(zip(PLACE, key, strict=True)),
                "train_images_per_second": _geometric_mean(train["images_per_second"]),
                "inference_images_per_second": _geometric_mean(inference["images_per_second"]),
                "train_percent_of_peak": _geometric_mean(train["percent_of_peak"]),
                "inference_percent_of_peak": _geometric_mean(inference["percent_of_peak"]),
                "latency_p50_ms": _geometric_mean(inference["latency_p50_ms"]),
                "latency_p99_ms": _geometric_mean(inference["latency_p99_ms"]),
                "peak_memory_mb": own["peak_memory_mb"].max(),
            }
        )
    return pd.DataFrame(rows)


def summary_text(report: Report) -> str:
    """Returns the summary for a terminal, at most 100 columns wide unless a name is longer."""
    frames = [frame for frame in (accuracy_frame(report), speed_frame(report)) if len(frame)]
    lines = _verdicts(report)
    if not frames:
        return "\n".join(["No training run or measurement was recorded.", *lines])
    lines += _conditions(report)
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines]
    return "\n".join([*(_table(frame) for frame in frames), *wrapped])


def _table(frame: pd.DataFrame) -> str:
    shown = frame.astype("object")
    for name in frame.columns[frame.dtypes == "float64"]:
        digits = DIGITS.get(name, 0)
        shown[name] = [f"{value:.{digits}f}" if pd.notna(value) else "-" for value in frame[name]]
    return f"{shown.rename(columns=HEADS).to_string(index=False)}\n"


def _verdicts(report: Report) -> list[str]:
    """Returns a line with the numbers of verdicts, and one for each whose checks did not pass."""
    checks = report.checks
    if checks.empty:
        return []
    counts = checks["verdict"].value_counts()
    total = ", ".join(f"{counts[name]} {word}" for name, word in VERDICTS.items() if name in counts)
    found: dict[tuple[str, str], list[str]] = {}
    for row in checks[checks["verdict"] != "pass"].itertuples():
        whose = row.variant or "the pictures"
        if row.check in SPEED_CHECKS:
            whose += f" on {row.backend} {row.device} {row.dtype} batch {row.batch_size}"
        found.setdefault((whose, VERDICTS[row.verdict]), []).append(row.check)
    lines = [
        f"{whose}: {verdict}: {', '.join(dict.fromkeys(names))}"
        for (whose, verdict), names in found.items()
    ]
    return [f"checks: {total}", *lines]


def _conditions(report: Report) -> list[str]:
    """Returns machine and versions, pictures, and how it was measured, a line each."""
    environment, throughput = report.environment, report.throughput
    machine, packages = environment.get("machine", {}), environment.get("packages", {})
    data = environment.get("data") or {}
    used = {*report.runs["backend"], *throughput["backend"], "keras"}
    versions = [f"{name} {packages[name]}" for name in packages if name.split("-")[0] in used]
    lines = [
        f"machine: {machine.get('cpu', 'unknown CPU')}, {machine.get('logical_cpus', '?')} CPUs, "
        f"{', '.join([*versions, 'Python ' + environment.get('python', '?')])}",
        f"pictures: {data.get('name', '?')}, {data.get('train_pictures', '?')} for training, "
        f"{data.get('validation_pictures', '?')} held out; epochs: {_each(report.runs['epochs'])}; "
        "accuracy and gap: mean ± sd over seeds",
    ]
    if len(throughput):
        processes = throughput.groupby([*PLACE, "workload"])["process"].nunique()
        lines.append(
            f"timing: threads {_each(throughput['threads'])}, rounds "
            f"{_each(throughput['rounds'])}, processes {_each(processes)}; %: of the peak; "
            "p50, p99: of one picture"
        )
    return lines


def _each(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(values)))) or "-"


def _mean_sd(values: pd.Series) -> str:
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _geometric_mean(values: pd.Series) -> float:
    return float(np.exp(np.log(values).mean()))
