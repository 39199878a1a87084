"""`cnnbench compare`: speed of reports, and their answers to the same held-out pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.commands.flags import add_flags
from cnnbench.session.option_table import (
    at_least,
    fraction,
    one_of,
    option,
    options_in,
    parse_all,
    rate,
    words,
)

if TYPE_CHECKING:
    from cnnbench.report.frames import Report

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}
SPEED_ONLY = ("across", "fail_on", "alpha", "picture")


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    only: str = option(
        "", one_of(("speed", "answers")), "PART", "speed or answers; default: what there is"
    )
    variants: Sequence[str] = option(
        (),
        words,
        "NAMES",
        "with one report: variants to compare with the first of them; with more: which to "
        "compare; default: all in common",
    )
    csv: Path | None = option(
        None,
        Path,
        "FILE",
        "write the ratios of speed, or the three questions about answers; if there are both, "
        "answers go to FILE-answers.csv",
    )
    pictures: int = option(5, at_least(0), "N", "pictures with changed answers to name")
    across: Sequence[str] = option(
        (),
        words,
        "COLUMNS",
        "columns that may differ between compared rows, of variant, backend, device, dtype and "
        "batch_size; with one report, what to compare within it; default: none",
    )
    fail_on: float | None = option(
        None,
        fraction,
        "SHARE",
        "gate: fail if a row takes that share more time, for example 5%%; exit codes: "
        "0 pass, 1 fail, 10 inconclusive",
    )
    alpha: float = option(
        0.01, rate, "RATE", "probability that any row fails although none is slower"
    )
    picture: Path | None = option(None, Path, "FILE", "draw the ratios: a .png or .svg file")


OPTIONS = options_in(Asked)


@dataclass(frozen=True)
class Part:
    """What a part of the comparison prints, a line for each file that it wrote, an exit code."""

    text: str
    files: Sequence[str] = ()
    code: int = 0


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "compare",
        help="compare reports: images per second, and answers to the same held-out pictures",
    )
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
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    given = {name: text for name in OPTIONS if (text := getattr(parsed, name)) is not None}
    asked = Asked(**parse_all(OPTIONS, given, prefix="--"))
    flags = [f"--{OPTIONS[name].stem}" for name in SPEED_ONLY if name in given]
    flags += ["--allow-missing"] if parsed.allow_missing else []
    if asked.only == "answers" and flags:
        raise ValueError(
            f"--only answers: these options need the speed part. Received: {', '.join(flags)}"
        )
    from cnnbench.report.frames import load_report, report_name

    names = [report_name(path) for path in parsed.reports]
    reports = [
        (f"{name} ({number})" if names.count(name) > 1 else name, load_report(path))
        for number, (name, path) in enumerate(zip(names, parsed.reports, strict=True), start=1)
    ]
    must = asked.only == "speed" or bool(flags)
    speed = _speed(reports, asked, must=must, allow_missing=parsed.allow_missing)
    parts = [part for part in (speed, _answers(reports, asked, is_beside=bool(speed))) if part]
    print("\n\n".join(part.text for part in parts))
    for line in (line for part in parts for line in part.files):
        print(line)
    return max(part.code for part in parts)


def _speed(
    reports: Sequence[tuple[str, Report]], asked: Asked, *, must: bool, allow_missing: bool
) -> Part | None:
    """Compares speed; `None` where nobody asked for it and the reports have none."""
    if asked.only == "answers" or (len(reports) == 1 and not must):
        return None
    from cnnbench.comparing.ratio_picture import draw_ratios
    from cnnbench.comparing.ratio_tables import ratio_frame, ratio_text
    from cnnbench.comparing.ratios import compare_all, judge_speeds
    from cnnbench.comparing.speeds import speeds_of
    from cnnbench.verdicts.gates.ratio import RatioRule

    found = [speeds_of(report, label, asked.variants) for label, report in reports]
    if not must and not all(one.rows for one in found):
        return None
    comparisons, gate = compare_all(found, asked.across), None
    if asked.fail_on is not None:
        rule = RatioRule(asked.fail_on, asked.alpha)
        gate = judge_speeds(comparisons, rule, allow_missing=allow_missing)
    files = []
    if asked.picture:
        draw_ratios(comparisons, asked.picture)
        files.append(f"picture: {asked.picture}")
    if asked.csv:
        ratio_frame(comparisons, gate).to_csv(asked.csv, index=False, lineterminator="\n")
        files.append(f"table: {asked.csv}")
    return Part(ratio_text(comparisons, gate), files, EXIT_CODES[gate.verdict] if gate else 0)


def _answers(
    reports: Sequence[tuple[str, Report]], asked: Asked, *, is_beside: bool
) -> Part | None:
    """Compares answers; `None` where nobody asked for it beside a comparison of speed."""
    is_within = len(reports) == 1 and len(asked.variants) < 2
    if asked.only == "speed" or (is_beside and is_within):
        return None
    from cnnbench.comparing.recipes import compare_reports, question_frame, recipe_text

    try:
        comparisons = compare_reports(reports, asked.variants)
    except ValueError as error:
        if not is_beside:
            raise
        # Other machines may have seen other pictures; their speeds can still be compared.
        return Part(f"Answers are not compared. {error}")
    files = []
    if asked.csv:
        file = asked.csv
        if is_beside:
            file = file.with_name(f"{file.stem}-answers{file.suffix}")
        question_frame(comparisons).to_csv(file, index=False, lineterminator="\n")
        files.append(f"table: {file}")
    return Part("\n\n".join(recipe_text(one, asked.pictures) for one in comparisons), files)
