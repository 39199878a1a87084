"""One tidy row a variant: what closes a session and what `cnnbench show` prints."""

from __future__ import annotations

import pandas as pd

from cnnbench.records.checks import SPEED_CHECKS
from cnnbench.report.frames import Report

COLUMNS = {
    "accuracy": "held-out accuracy",
    "gap": "gap",
    "train": "train img/s",
    "inference": "infer img/s",
    "p50": "latency ms",
    "p99": "p99 ms",
    "memory": "memory MB",
    "parameters": "parameters",
    "failed": "failed checks",
    "inconclusive": "inconclusive",
    "error": "not judged",
}
RARE = ("inconclusive", "error")  # shown only where there are any


def summary_frame(report: Report) -> pd.DataFrame:
    """Returns the summary: a row for each variant, backend, device, dtype and batch size.

    Accuracy and gap are text, `mean ± sd` over seeds; on a device that nothing was trained
    on they are the variant's. Throughput, latency and memory are numbers.
    """
    runs, throughput, checks = report.runs, report.throughput, report.checks
    place = ["variant", "backend", "device", "dtype", "batch_size"]
    keys = pd.concat([throughput[place], runs[place]]).drop_duplicates("variant", keep="first")
    keys = pd.concat([throughput[place], keys]).drop_duplicates()
    order = {name: i for i, name in enumerate(dict.fromkeys([*runs["variant"], *keys["variant"]]))}
    rows = []
    for _, key in keys.iterrows():
        own = runs[runs["variant"] == key["variant"]]
        same = throughput[(throughput[place] == key[place]).all(axis=1)]
        train = same[same["workload"] == "train"]
        inference = same[same["workload"] == "inference"]
        judged = checks[checks["variant"] == key["variant"]]
        # A speed that can't be believed is one row's; what networks learn is the variant's.
        here = (judged[place] == key[place]).all(axis=1)
        judged = judged[here | ~judged["check"].isin(SPEED_CHECKS)]
        rows.append(
            {
                **key.to_dict(),
                "seeds": len(own),
                "accuracy": _mean_sd(own["val_accuracy"]),
                "gap": _mean_sd(own["generalization_gap"]),
                "train": train["images_per_second"].max(),
                "inference": inference["images_per_second"].max(),
                "p50": inference["latency_p50_ms"].min(),
                "p99": inference["latency_p99_ms"].min(),
                "memory": same["peak_memory_mb"].max(),
                "parameters": own["parameters"].max() if len(own) else pd.NA,
                "failed": _checks(judged, "fail") or ("none" if len(judged) else "-"),
                **{verdict: _checks(judged, verdict) or "-" for verdict in RARE},
            }
        )
    frame = pd.DataFrame(rows, columns=[*place, "seeds", *COLUMNS])
    return frame.sort_values(
        "variant", key=lambda names: names.map(order), kind="stable", ignore_index=True
    )


def summary_text(report: Report) -> str:
    """Returns the summary as a table for a terminal, with the conditions below it."""
    frame = summary_frame(report)
    checks = report.checks
    # A row is a variant's: what belongs to none, or to one whose trainings failed, has no row.
    others = checks[(checks["verdict"] != "pass") & ~checks["variant"].isin(frame["variant"])]
    lines = [f"{_title(row.check, row.variant)}: {row.verdict}" for row in others.itertuples()]
    lines = list(dict.fromkeys(lines))
    if frame.empty:
        return "\n".join(["No training run or measurement was recorded.", *lines])
    formats = {
        "train": "{:.0f}",
        "inference": "{:.0f}",
        "p50": "{:.2f}",
        "p99": "{:.2f}",
        "memory": "{:.0f}",
        "parameters": "{:.0f}",
    }
    for column, form in formats.items():
        frame[column] = [form.format(v) if pd.notna(v) else "-" for v in frame[column]]
    constant = [c for c in ("backend", "device", "dtype", "batch_size") if frame[c].nunique() == 1]
    where = ", ".join(f"{c.replace('_', ' ')} {frame[c].iloc[0]}" for c in constant)
    empty = [verdict for verdict in RARE if (frame[verdict] == "-").all()]
    shown = frame.drop(columns=[*constant, *empty]).rename(columns=COLUMNS)
    parts = [shown.to_string(index=False), *lines, where, *peaks(report), conditions(report)]
    return "\n".join(filter(None, parts))


def peaks(report: Report) -> list[str]:
    """Returns a line for each measured peak, with how much of it was used."""
    lines = []
    for peak in report.peaks.itertuples():
        rows = report.throughput
        for name in ("backend", "device", "dtype", "threads"):
            rows = rows[rows[name] == getattr(peak, name)]
        used = [
            f"{workload} {own.min():.0f} to {own.max():.0f} %"
            for workload in ("train", "inference")
            for own in [rows.loc[rows["workload"] == workload, "percent_of_peak"].dropna()]
            if len(own)
        ]
        best = max(
            (
                value
                for value in (peak.matmul_flops_per_second, peak.convolution_flops_per_second)
                if pd.notna(value)
            ),
            default=None,
        )
        if best is not None and used:
            lines.append(
                f"peak of {peak.backend} on {peak.device} in {peak.dtype}: {best / 1e9:.0f} "
                f"GFLOP/s, of which {', '.join(used)}"
            )
    return lines


def conditions(report: Report) -> str:
    """Returns the conditions of the measurement in one or two lines."""
    environment = report.environment
    machine, packages = environment.get("machine", {}), environment.get("packages", {})
    used = {*report.runs["backend"], *report.throughput["backend"]}
    names = [name for name in packages if name.removesuffix("-cpu") in used]
    versions = ", ".join(
        f"{name} {packages[name]}" for name in (*names, "keras") if name in packages
    )
    threads = sorted(set(report.throughput["threads"])) or "-"
    epochs = sorted(set(report.runs["epochs"])) or "-"
    rounds = sorted(set(report.throughput["rounds"]))
    data = environment.get("data") or {}
    return (
        f"{machine.get('cpu', 'unknown CPU')}, {machine.get('logical_cpus', '?')} CPUs, "
        f"{versions}, Python {environment.get('python', '?')}; "
        f"timing threads {_plain(threads)}, rounds {_plain(rounds)}"
        f"\ndata {data.get('name', '?')} ({data.get('train_pictures', '?')} training, "
        f"{data.get('validation_pictures', '?')} held-out pictures), epochs {_plain(epochs)}; "
        "accuracy and gap: mean ± sd over seeds; latency: one picture, median"
    )


def _plain(values: object) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) and values else "-"


def _title(check: str, variant: str) -> str:
    return f"{check} of {variant}" if variant else check


def _checks(judged: pd.DataFrame, verdict: str) -> str:
    return ", ".join(dict.fromkeys(judged.loc[judged["verdict"] == verdict, "check"]))


def _mean_sd(values: pd.Series) -> str:
    if values.empty:
        return "-"
    spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"
