"""Ratios of speed as a DataFrame: one call compares reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cnnbench.comparing.ratio_gate import Judged, Outcome, judge
from cnnbench.comparing.ratio_text import MEAN, both
from cnnbench.comparing.ratios import Comparison, GeometricMean, Ratio, compare_sources
from cnnbench.comparing.read_reports import read_speeds, speeds_of_report
from cnnbench.comparing.speeds import KEY, Source
from cnnbench.report.frames import Report
from cnnbench.verdicts.gates.ratio import RatioRule

COLUMNS = (
    *("first_report", "later_report", *KEY, "first", "later"),
    *("ratio", "low", "high", "basis", "first_processes", "later_processes"),
    *("verdict", "p_slower", "p_margin", "reason", "problems", "differs"),
)


def compare_speeds(
    *reports: str | Path | Report, across: Sequence[str] = (), fail_on: float | None = None
) -> pd.DataFrame:
    """Compares the throughput of reports, row by row.

    Args:
        *reports: report folders, packed reports, files of pytest-benchmark, or reports that
            `load_report` returned; the first is what the others are compared with. One alone is
            compared with itself over `across`.
        across: columns that may differ between rows: `variant`, `backend`, `device`, `dtype`,
            `batch_size`.
        fail_on: share of time from which on a row is too slow; gives every row a verdict.

    Returns:
        A row for each pair of rows, and one a pair of reports for the geometric mean. `ratio` is
        pictures a second of the later over the first, `low` and `high` its 95 % interval, and
        `basis` what that rests on: `processes`, or `rounds` within one process.

    Raises:
        ValueError: if reports can't be compared, or there is nothing to compare.
    """
    sources = [
        speeds_of_report(one, f"report {number}")
        if isinstance(one, Report)
        else read_speeds(Path(one))
        for number, one in enumerate(reports, start=1)
    ]
    comparisons = compare_all(sources, across)
    outcome = None if fail_on is None else judge_all(comparisons, RatioRule(fail_on))
    return frame_of(comparisons, outcome)


def compare_all(sources: Sequence[Source], across: Sequence[str] = ()) -> list[Comparison]:
    """Compares the first source with each other one; a single one with itself.

    Raises:
        ValueError: if there is nothing to compare.
    """
    if not sources or (len(sources) == 1 and not across):
        raise ValueError(
            "Expected two reports, or one and the columns to compare across. "
            f"Received: reports={len(sources)}, across={','.join(across)!r}"
        )
    empty = [source.label for source in sources if not source.speeds]
    if empty:
        raise ValueError(f"No throughput was measured. Received: reports={', '.join(empty)}")
    first = sources[0]
    return [compare_sources(first, later, across) for later in (sources[1:] or (first,))]


def judge_all(
    comparisons: Sequence[Comparison], rule: RatioRule, *, allow_missing: bool = False
) -> Outcome:
    """Judges the rows of all comparisons as one family."""
    ratios = [ratio for one in comparisons for ratio in one.ratios]
    unmatched = 0 if allow_missing else sum(len(one.unmatched) for one in comparisons)
    return judge(ratios, rule, unmatched=unmatched)


def frame_of(comparisons: Sequence[Comparison], outcome: Outcome | None = None) -> pd.DataFrame:
    """Returns a row for each ratio and one a comparison for the geometric mean."""
    judged = iter(outcome.rows) if outcome else None
    rows = []
    for one in comparisons:
        for ratio in one.ratios:
            rows.append(_row(one, ratio, next(judged) if judged else None))
        if one.mean is not None:
            rows.append(_mean_row(one, one.mean))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    unused = ["verdict", "p_slower", "p_margin", "reason"] if outcome is None else []
    return frame.drop(columns=unused).astype({"batch_size": "str"})


def _row(one: Comparison, ratio: Ratio, judged: Judged | None) -> dict[str, object]:
    interval = ratio.interval()
    verdict = {}
    if judged is not None:
        names = ("verdict", "p_slower", "p_margin", "reason")
        verdict = {name: getattr(judged, name) for name in names}
    return {
        "first_report": one.first.label,
        "later_report": one.later.label,
        **{name: both(getattr(ratio.first, name), getattr(ratio.later, name)) for name in KEY},
        "first": ratio.first.per_second,
        "later": ratio.later.per_second,
        "ratio": ratio.value,
        "low": interval.low if ratio.change else math.nan,
        "high": interval.high if ratio.change else math.nan,
        "basis": ratio.basis,
        "first_processes": len(ratio.first.processes),
        "later_processes": len(ratio.later.processes),
        **verdict,
        "problems": "; ".join(ratio.problems),
        "differs": "; ".join((*ratio.differing, *one.differing)),
    }


def _mean_row(one: Comparison, mean: GeometricMean) -> dict[str, object]:
    interval = mean.interval()
    return {
        **{name: "" for name in COLUMNS if name not in ("p_slower", "p_margin")},
        "first_report": one.first.label,
        "later_report": one.later.label,
        "variant": f"{MEAN} of {mean.rows}",
        **{"first": math.nan, "later": math.nan, "ratio": mean.value},
        **{"low": interval.low, "high": interval.high, "basis": mean.basis},
        **{"first_processes": pd.NA, "later_processes": pd.NA},
        "differs": "; ".join(one.differing),
    }
