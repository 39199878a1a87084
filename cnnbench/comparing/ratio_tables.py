"""Ratios of speed as a DataFrame and as text; one call compares reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnbench.comparing import ratios
from cnnbench.comparing.ratios import Match, Ratio, SpeedComparison, SpeedVerdict
from cnnbench.comparing.speeds import SPEED_COLUMNS, speeds_of
from cnnbench.report.frames import Report, load_report, report_name
from cnnbench.verdicts.gates.ratio import RatioRule

VERDICT_COLUMNS = ("verdict", "p_slower", "p_margin", "reason")
PROCESS_COLUMNS = ("first_processes", "later_processes")
MEASURED = ("first", "later", "ratio", "low", "high", "basis", *PROCESS_COLUMNS)
REPORTS = ("first_report", "later_report")
RATIO_COLUMNS = (*REPORTS, *SPEED_COLUMNS, *MEASURED, *VERDICT_COLUMNS, "problems", "differs")
MEAN = "geometric mean"
ONE_PROCESS = (
    "* from one process: rounds are not independent, and the interval leaves out the noise between "
    "processes; measure with --cnnbench-processes=3 or more"
)
ANOTHER_TIME = (
    "Reports that were measured at different times can differ for that reason alone, above all on "
    "a shared machine; `cnnbench ab` compares side by side."
)


def compare_speeds(
    *reports: str | Path | Report, across: Sequence[str] = (), fail_on: float | None = None
) -> pd.DataFrame:
    """Compares the throughput of reports, row by row.

    Args:
        *reports: report folders, packed reports, or reports that `load_report` returned; the first
            is what the others are compared with. One alone is compared with itself over `across`.
        across: columns that may differ between rows: `variant`, `backend`, `device`, `dtype`,
            `batch_size`.
        fail_on: share of time from which on a row is too slow; gives every row a verdict.

    Returns:
        A row for each pair of rows, and one per pair of reports for the geometric mean. `ratio` is
        pictures per second of the later over the first, `low` and `high` its 95 % interval, and
        `basis` what that rests on: `processes`, or `rounds` within one process.

    Raises:
        ValueError: if reports can't be compared, or there is nothing to compare.
    """
    found = [
        speeds_of(one, f"report {number}")
        if isinstance(one, Report)
        else speeds_of(load_report(one), report_name(one))
        for number, one in enumerate(reports, start=1)
    ]
    comparisons = ratios.compare_all(found, across)
    if fail_on is None:
        return ratio_frame(comparisons)
    return ratio_frame(comparisons, ratios.judge_speeds(comparisons, RatioRule(fail_on)))


def ratio_frame(
    comparisons: Sequence[SpeedComparison], gate: SpeedVerdict | None = None
) -> pd.DataFrame:
    """Returns a row for each match and one per comparison for the geometric mean."""
    rows = [row for one in (gate.comparisons if gate else comparisons) for row in _rows(one)]
    frame = pd.DataFrame(rows, columns=list(RATIO_COLUMNS))
    frame = frame.astype(dict.fromkeys(PROCESS_COLUMNS, "Int64"))
    return frame if gate else frame.drop(columns=list(VERDICT_COLUMNS))


def _rows(one: SpeedComparison) -> list[dict[str, Any]]:
    reports = {"first_report": one.first.label, "later_report": one.later.label}
    rows = [
        {
            **reports,
            **key_of(match),
            "first": match.first.per_second,
            "later": match.later.per_second,
            **_ratio_cells(match.ratio),
            "first_processes": len(match.first.processes),
            "later_processes": len(match.later.processes),
            **{name: getattr(match, name) for name in VERDICT_COLUMNS},
            "problems": "; ".join(match.problems),
            "differs": "; ".join((*match.differing, *one.differing)),
        }
        for match in one.matches
    ]
    if one.mean:
        empty = dict.fromkeys((*SPEED_COLUMNS, "verdict", "reason", "problems"), "")
        own = {"variant": f"{MEAN} of {len(one.usable)}", "differs": "; ".join(one.differing)}
        rows.append({**reports, **empty, **own, **_ratio_cells(one.mean)})
    return rows


def _ratio_cells(ratio: Ratio | None) -> dict[str, Any]:
    if ratio is None:
        return {"ratio": math.nan, "low": math.nan, "high": math.nan, "basis": "none"}
    return {"ratio": ratio.value, **vars(ratio.interval), "basis": ratio.basis}


def key_of(match: Match) -> dict[str, str]:
    """Returns what was compared: `cpu`, or `cpu → gpu` where the sides differ."""
    sides = {name: (getattr(match.first, name), getattr(match.later, name)) for name in
             SPEED_COLUMNS}  # fmt: skip
    return {name: " → ".join(dict.fromkeys(map(str, both))) for name, both in sides.items()}


def ratio_text(comparisons: Sequence[SpeedComparison], gate: SpeedVerdict | None = None) -> str:
    """Returns the comparisons for a terminal."""
    blocks = [_block(one) for one in (gate.comparisons if gate else comparisons)]
    return "\n\n".join([*blocks, ANOTHER_TIME, *([_verdict_in_words(gate)] if gate else [])])


def _block(one: SpeedComparison) -> str:
    title, sides = f"Speed of {one.later.label} relative to {one.first.label}", 2
    if one.first is one.later:
        title, sides = f"Speed within {one.first.label}: the second relative to the first", 1
    rows = _rows(one)
    differing = ["; ".join(match.differing) for match in one.matches] + [""]
    cells = [_cells(row, notes) for row, notes in zip(rows, differing, strict=False)]
    notes = [ONE_PROCESS] if any(row["basis"] == "rounds" for row in rows) else []
    notes += [f"not compared: {line}" for line in one.unmatched]
    notes += [f"only in {one.later.label}: {line}" for line in one.extra]
    notes += [f"differs, first and later: {line}" for line in one.differing]
    for report in (one.first, one.later)[:sides]:
        doubtful = [speed.concerns for speed in report.rows if speed.concerns]
        if doubtful:
            many = f"{len(doubtful)} of {len(report.rows)} rows"
            notes.append(f"{report.label}: {many} are doubtful, for example: {doubtful[0]}")
    lines = _lines(cells) if cells else ["no row in common"]
    return "\n".join([title, "", *lines, *([""] if notes else []), *notes])


def _cells(row: dict[str, Any], differing: str) -> dict[str, str]:
    interval = "unknown"
    if row["basis"] != "none":
        star = "*" if row["basis"] == "rounds" else ""
        interval = f"{number(row['low'])} to {number(row['high'])}{star}"
    return {
        **{name: row[name] for name in SPEED_COLUMNS},
        "first img/s": number(row.get("first", math.nan)),
        "later img/s": number(row.get("later", math.nan)),
        "ratio": number(row["ratio"]),
        "95 % interval": interval,
        "verdict": row["verdict"],
        "notes": "; ".join(filter(None, (row["problems"], differing))),
    }


def number(value: float) -> str:
    """Returns a number with three significant digits at least."""
    return "-" if math.isnan(value) else f"{value:.{3 if value < 10 else 1 if value < 100 else 0}f}"


def _lines(cells: Sequence[dict[str, str]]) -> list[str]:
    """Returns a table without the columns that are empty everywhere."""
    names = [name for name in cells[0] if any(cell[name] for cell in cells)]
    heads = [name.replace("_", " ") for name in names]
    table = [heads, *([cell[name] for name in names] for cell in cells)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _verdict_in_words(gate: SpeedVerdict) -> str:
    rule, verdicts = gate.rule, [row.verdict for row in gate.rows]
    text = (
        f"{gate.verdict.upper()}: {verdicts.count('pass')} of {len(verdicts)} compared pass, "
        f"{verdicts.count('fail')} fail, {verdicts.count('inconclusive')} inconclusive. A row "
        f"fails if it is significantly slower (alpha {rule.alpha:g} for all rows together, Holm) "
        f"and the estimate is at least {rule.margin:.1%} more time. It passes if a slowdown of "
        f"{rule.margin:.1%} is ruled out (beta {rule.beta:g}). The unit is the process."
    )
    if gate.unmatched:
        text += (
            f" Not compared: {gate.unmatched} of the first report; the gate can't pass without "
            "--allow-missing."
        )
    reasons: dict[str, list[str]] = {}
    for row in gate.rows:
        if row.verdict != "pass":
            reasons.setdefault(f"{row.verdict}: {row.reason}", []).append(str(row.later))
    named = (
        f"{why} ({rows[0]}{f' and {len(rows) - 1} more' if rows[1:] else ''})"
        for why, rows in reasons.items()
    )
    return "\n".join([text, *named])
