"""Ratios of speed as a DataFrame, as text and as a picture; one call compares reports."""

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
MOST_DOTS = 200  # a taller picture is none
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
            **_key(match),
            "first": match.first.per_second,
            "later": match.later.per_second,
            **_ratio_cells(match.ratio),
            "first_processes": len(match.first.processes),
            "later_processes": len(match.later.processes),
            **{name: getattr(match, name) for name in VERDICT_COLUMNS},
            "problems": "; ".join(match.problems),
            "differs": "; ".join((*match.differing, *one.differing)),
            "notes": "; ".join((*match.problems, *match.differing)),
        }
        for match in one.matches
    ]
    if one.mean:
        own = dict.fromkeys((*SPEED_COLUMNS, "verdict", "reason", "problems", "notes"), "")
        own |= {"variant": f"{MEAN} of {len(one.usable)}", "differs": "; ".join(one.differing)}
        rows.append({**reports, **own, **_ratio_cells(one.mean)})
    return rows


def _ratio_cells(ratio: Ratio) -> dict[str, Any]:
    return {"ratio": ratio.value, **vars(ratio.interval), "basis": ratio.basis}


def _key(match: Match) -> dict[str, str]:
    """Returns what was compared: `cpu`, or `cpu → gpu` where the sides differ."""
    sides = [vars(match.first), vars(match.later)]
    return {
        name: " → ".join(dict.fromkeys(str(side[name]) for side in sides)) for name in SPEED_COLUMNS
    }


def ratio_text(comparisons: Sequence[SpeedComparison], gate: SpeedVerdict | None = None) -> str:
    """Returns the comparisons for a terminal."""
    blocks = [_block(one) for one in (gate.comparisons if gate else comparisons)]
    return "\n\n".join([*blocks, ANOTHER_TIME, *([_verdict_in_words(gate)] if gate else [])])


def _block(one: SpeedComparison) -> str:
    title, sides = f"Speed of {one.later.label} relative to {one.first.label}", 2
    if one.first is one.later:
        title, sides = f"Speed within {one.first.label}: the second relative to the first", 1
    rows = _rows(one)
    notes = [ONE_PROCESS] if any(row["basis"] == "rounds" for row in rows) else []
    notes += [f"not compared: {line}" for line in one.unmatched]
    notes += [f"only in {one.later.label}: {line}" for line in one.extra]
    notes += [f"differs, first and later: {line}" for line in one.differing]
    for report in (one.first, one.later)[:sides]:
        doubtful = [speed.concerns for speed in report.rows if speed.concerns]
        if doubtful:
            many = f"{len(doubtful)} of {len(report.rows)} rows"
            notes.append(f"{report.label}: {many} are doubtful, for example: {doubtful[0]}")
    return "\n".join([title, "", *_lines(rows), *([""] if notes else []), *notes])


def _lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Returns a table without the columns that are empty everywhere."""
    if not rows:
        return ["no row in common"]
    cells = [_cells(row) for row in rows]
    names = [name for name in cells[0] if any(cell[name] for cell in cells)]
    table = [names, *([cell[name] for name in names] for cell in cells)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _cells(row: dict[str, Any]) -> dict[str, str]:
    star = "*" if row["basis"] == "rounds" else ""
    interval = f"{number(row['low'])} to {number(row['high'])}{star}"
    return {
        **{name: row[name] for name in SPEED_COLUMNS},
        "first img/s": number(row.get("first", math.nan)),
        "later img/s": number(row.get("later", math.nan)),
        "ratio": number(row["ratio"]),
        "95 % interval": "unknown" if row["basis"] == "none" else interval,
        "verdict": row["verdict"],
        "notes": row["notes"],
    }


def number(value: float) -> str:
    """Returns a number with three significant digits at least."""
    return "-" if math.isnan(value) else f"{value:.{3 if value < 10 else 1 if value < 100 else 0}f}"


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


def draw_ratios(comparisons: Sequence[SpeedComparison], path: Path) -> None:
    """Draws the ratios of comparisons with one first report, each in a colour of its own.

    A filled dot's interval rests on processes, a hollow one's on rounds of one process. Rows with a
    problem (out of memory, wrong answers) are left out and counted.
    """
    if path.suffix not in (".png", ".svg"):
        raise ValueError(f"--picture: expected a .png or .svg file. Received: file={str(path)!r}")
    dots = _dots(comparisons)
    if not 0 < len(dots) <= MOST_DOTS:
        raise ValueError(f"--picture: expected 1 to {MOST_DOTS} ratios. Received: {len(dots)}")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ValueError(
            "Pictures are drawn by Matplotlib, which is not installed. In cnnbench's clone, "
            "install it with pip install '.[pictures]'."
        ) from error
    # No pyplot: it would look for a screen and keep the figure.
    with rc_context({"font.size": 9, "svg.hashsalt": "cnnbench"}):
        height = 0.15 * len(dots) + 0.15 * len({label for label, _, _ in dots}) + 1.6
        figure = Figure(figsize=(8, height), layout="constrained")
        _draw(figure.subplots(), comparisons, dots)
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata, facecolor="white")


def _dots(comparisons: Sequence[SpeedComparison]) -> list[tuple[str, int, Ratio]]:
    """Returns label, number of the comparison and ratio of each dot, means last."""
    kept = [
        (at, _key(match), ratio)
        for at, one in enumerate(comparisons)
        for match in one.matches
        if (ratio := match.usable)
    ]
    varying = [name for name in SPEED_COLUMNS if len({key[name] for _, key, _ in kept}) > 1]
    names = varying or ["variant"]
    dots = [(", ".join(key[name] for name in names), at, ratio) for at, key, ratio in kept]
    return dots + [(MEAN, at, one.mean) for at, one in enumerate(comparisons) if one.mean]


def _draw(
    axis: Any, comparisons: Sequence[SpeedComparison], dots: Sequence[tuple[str, int, Ratio]]
) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    labels = {label: place for place, label in enumerate(dict.fromkeys(dot[0] for dot in dots))}
    values = [1.0, *(ratio.value for _, _, ratio in dots)]
    # An interval from next to nothing would hide all the others: it runs out of the picture.
    low, high = min(values) / 1.5, max(values) * 1.5
    for label, at, ratio in dots:
        place = labels[label] + 0.6 * ((at + 0.5) / len(comparisons) - 0.5)
        colour, interval = f"C{at}", ratio.interval
        ends = [[ratio.value - max(interval.low, low)], [min(interval.high, high) - ratio.value]]
        axis.errorbar(
            ratio.value,
            place,
            xerr=None if ratio.basis == "none" else ends,
            fmt="o",
            color=colour,
            mfc=colour if ratio.basis == "processes" else "white",
            label=comparisons[at].later.label if label == MEAN else None,
        )
        where = {"xycoords": ("axes fraction", "data"), "va": "center", "color": colour}
        axis.annotate(number(ratio.value), (1.01, place), **where)
    axis.axvline(1, color="#333333", lw=1, zorder=1)
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_yticks(list(labels.values()), list(labels))
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.margins(x=0.02)
    # Ticks that people read: 0.5, 1, 2 and not powers of ten.
    is_wide = max(values) > 3 * min(values)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if is_wide else MaxNLocator(6))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    text = f"speed relative to {comparisons[0].first.label}: ratio and 95 % interval, log axis"
    if any(ratio.basis != "processes" for _, _, ratio in dots):
        text += "\nhollow: rounds of one process only"
    left_out = sum(len(one.matches) - len(one.usable) for one in comparisons)
    if left_out:
        text += f"\nnot shown: {left_out} out of memory or with wrong answers"
    axis.set_xlabel(text)
    axis.figure.legend(loc="outside upper left", frameon=False, ncols=3)
