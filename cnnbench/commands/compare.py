"""Compare reports: images per second, and answers to the same held-out pictures.

Exit codes with --fail-on: 0 pass, 1 fail, 10 inconclusive.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnbench.commands.flags import EXIT_CODES, add_flags
from cnnbench.session import options
from cnnbench.session.options import at_least, fraction, option, rate, words

if TYPE_CHECKING:
    from cnnbench.comparing.speeds import ReportSpeeds
    from cnnbench.report.frames import Report


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    variants: Sequence[str] = option(
        (), words, "NAMES", "to compare, the first of a report with its others; default: all"
    )
    csv: Path | None = option(
        None, Path, "FILE", "write ratios, or answers; answers beside ratios: FILE-answers.csv"
    )
    pictures: int = option(5, at_least(0), "N", "pictures with changed answers to name")
    across: Sequence[str] = option(
        (),
        words,
        "COLUMNS",
        "that may differ between compared rows, of variant, backend, device, dtype and "
        "batch_size; with one report, what to compare within it; default: none",
    )
    fail_on: float | None = option(
        None, fraction, "SHARE", "gate: fail if a row takes that share more time, such as 5%%"
    )
    alpha: float = option(
        0.01, rate, "RATE", "probability that any row fails although none is slower"
    )
    picture: Path | None = option(None, Path, "FILE", "draw the ratios: a .png or .svg file")


OPTIONS = options.options_in(Asked)


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "reports",
        nargs="+",
        type=Path,
        metavar="REPORT",
        help="report folder or packed report; the others are compared with the first",
    )
    add_flags(parser, OPTIONS, OPTIONS)
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="let the gate pass although rows of the first report have no partner",
    )


def run(parsed: argparse.Namespace) -> int:
    from cnnbench.comparing.speeds import speeds_of
    from cnnbench.report.frames import load_report, report_name

    given = {name: text for name in OPTIONS if (text := getattr(parsed, name)) is not None}
    asked = Asked(**options.parse_all(OPTIONS, given, prefix="--"))
    names = [report_name(path) for path in parsed.reports]
    reports = [
        (f"{name} ({number})" if names.count(name) > 1 else name, load_report(path))
        for number, (name, path) in enumerate(zip(names, parsed.reports, strict=True), start=1)
    ]
    speeds = [speeds_of(report, label, asked.variants) for label, report in reports]
    is_within = len(reports) == 1
    has_speed = not is_within and all(one.rows for one in speeds)
    # Options that only speeds have ask for them.
    has_speed |= parsed.allow_missing or not given.keys() <= {"variants", "csv", "pictures"}
    code = _compare_speeds(speeds, asked, parsed.allow_missing) if has_speed else 0
    if not (has_speed and is_within and len(asked.variants) < 2):
        _compare_answers(reports, asked, is_beside=has_speed)
    return code


def _compare_speeds(speeds: Sequence[ReportSpeeds], asked: Asked, allow_missing: bool) -> int:
    from cnnbench.comparing.ratio_views import draw_ratios, ratio_frame, ratio_text
    from cnnbench.comparing.ratios import compare_all, judge_speeds
    from cnnbench.verdicts.gates.ratio import RatioRule

    comparisons, gate = compare_all(speeds, asked.across), None
    if asked.fail_on is not None:
        rule = RatioRule(asked.fail_on, asked.alpha)
        gate = judge_speeds(comparisons, rule, allow_missing=allow_missing)
    if asked.picture:
        draw_ratios(comparisons, asked.picture)
    print(ratio_text(comparisons, gate))
    if asked.picture:
        print(f"picture: {asked.picture}")
    if asked.csv:
        ratio_frame(comparisons, gate).to_csv(asked.csv, index=False, lineterminator="\n")
        print(f"table: {asked.csv}")
    return EXIT_CODES[gate.verdict] if gate else 0


def _compare_answers(
    reports: Sequence[tuple[str, Report]], asked: Asked, *, is_beside: bool
) -> None:
    from cnnbench.comparing.recipes import compare_reports, question_frame, recipe_text

    if is_beside:
        print()
    try:
        comparisons = compare_reports(reports, asked.variants)
    except ValueError as error:
        if not is_beside:
            raise
        # Other machines may have seen other pictures; their speeds can still be compared.
        print(f"Answers are not compared. {error}")
        return
    print("\n\n".join(recipe_text(one, asked.pictures) for one in comparisons))
    if asked.csv:
        file = asked.csv
        if is_beside:
            file = file.with_name(f"{file.stem}-answers{file.suffix}")
        question_frame(comparisons).to_csv(file, index=False, lineterminator="\n")
        print(f"table: {file}")
