"""`cnnbench compare`: speed of reports, and their answers to the same held-out pictures."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.commands import compare_speeds as speeds
from cnnbench.comparing.recipe_text import rows_of, text_of

if TYPE_CHECKING:
    from cnnbench.comparing.recipes import Answers, Comparison
    from cnnbench.report.frames import Report


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
        help="report folder or packed report; the first is before",
    )
    parser.add_argument(
        "--only", choices=("speed", "answers"), help="one part; default: what the reports contain"
    )
    parser.add_argument(
        "--variants",
        metavar="NAMES",
        help="with one report: variants to compare with the first of them; with more: which to "
        "compare (default: all in common)",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write the ratios of speed, or the three questions about answers; if there are both, "
        "answers go to FILE-answers.csv",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=5,
        metavar="N",
        help="pictures with changed answers to name; default: 5",
    )
    speeds.add_to(parser)
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    if parsed.pictures < 0:
        raise ValueError(
            f"--pictures: expected a number of at least 0. Received: {parsed.pictures}"
        )
    if parsed.only == "answers" and speeds.wanted(parsed):
        raise ValueError(
            f"--only answers: these flags need the speed part. Received: "
            f"{', '.join(speeds.wanted(parsed))}"
        )
    names = [name.strip() for name in (parsed.variants or "").split(",") if name.strip()]
    ratios = _ratios(parsed, names)
    texts, lines = ([] if ratios is None else [ratios.text()]), []
    comparisons, refusal = _answers(parsed, names, is_alone=ratios is None)
    texts += [text_of(one, parsed.pictures) for one in comparisons]
    if refusal:
        texts.append(f"Answers are not compared. {refusal}")
    if ratios is not None:
        lines += ratios.write(parsed)
    if parsed.csv and comparisons:
        file = parsed.csv
        if ratios is not None:
            file = file.with_name(f"{file.stem}-answers{file.suffix}")
        _write_csv(file, comparisons)
        lines.append(f"table: {file}")
    print("\n\n".join(texts))
    if lines:
        print("\n".join(lines))
    return 0 if ratios is None else ratios.code


def _ratios(parsed: argparse.Namespace, names: Sequence[str]) -> speeds.Speeds | None:
    """Returns the speed part; `None` where nobody asked for it and the reports have none."""
    is_asked = parsed.only == "speed" or bool(speeds.wanted(parsed))
    if parsed.only == "answers" or (len(parsed.reports) == 1 and not is_asked):
        return None
    sources = speeds.sources_of(parsed.reports, names)
    if not is_asked and not all(source.speeds for source in sources):
        return None
    return speeds.compare(sources, parsed)


def _answers(
    parsed: argparse.Namespace, names: Sequence[str], *, is_alone: bool
) -> tuple[list[Comparison], str]:
    """Returns the comparisons of answers, and why there are none beside a comparison of speed."""
    from cnnbench.comparing.recipes import compare

    is_within = len(parsed.reports) == 1 and len(names) < 2
    if parsed.only == "speed" or (not is_alone and is_within):
        return [], ""
    try:
        return [compare(*pair) for pair in _pairs(parsed.reports, names)], ""
    except ValueError as error:
        if is_alone:
            raise
        # Other machines may have seen other pictures; their speeds can still be compared.
        return [], str(error)


def _write_csv(path: Path, comparisons: Sequence[Comparison]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [row for one in comparisons for row in rows_of(one)]
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _pairs(paths: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[Answers, Answers]]:
    from cnnbench.comparing.recipe_answers import answers_of_report, variants_of
    from cnnbench.report.frames import load_report

    reports: list[tuple[str, Report]] = [
        (path.resolve().name.removesuffix(".zip"), load_report(path)) for path in paths
    ]
    (label, first), others = reports[0], reports[1:]
    known = variants_of(first)
    if not others:
        if len(names) < 2:
            raise ValueError(
                f"With one report, --variants names at least two of its variants: "
                f"{', '.join(known)}. Received: variants={','.join(names)!r}"
            )
        before, *after = (answers_of_report(first, name, name) for name in names)
        yield from ((before, one) for one in after)
        return
    for other_label, other in others:
        common = names or [name for name in known if name in variants_of(other)]
        if not common:
            raise ValueError(
                f"The reports have no variant in common. Received: {label}: {', '.join(known)}; "
                f"{other_label}: {', '.join(variants_of(other))}"
            )
        for name in common:
            yield (
                answers_of_report(first, name, f"{name} of {label}"),
                answers_of_report(other, name, f"{name} of {other_label}"),
            )
