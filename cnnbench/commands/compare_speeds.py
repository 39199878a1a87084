"""The speed part of `cnnbench compare`: flags, files and the gate's exit code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnbench.comparing.ratio_gate import Outcome
    from cnnbench.comparing.ratios import Comparison
    from cnnbench.comparing.speeds import Source

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}
ALPHA = 0.01


def add_to(parser: Any) -> None:
    """Adds the flags of the speed part."""
    group = parser.add_argument_group("speed")
    group.add_argument(
        "--across",
        metavar="COLUMNS",
        default="",
        help="columns that may differ between compared rows: variant, backend, device, dtype, "
        "batch_size; with one report, what to compare within it",
    )
    group.add_argument(
        "--fail-on",
        metavar="SHARE",
        help="gate: fail if a row takes that share more time, for example 5%%; exit codes: "
        "0 pass, 1 fail, 10 inconclusive",
    )
    group.add_argument(
        "--alpha",
        type=float,
        metavar="P",
        help=f"probability that any row fails although none is slower; default: {ALPHA}",
    )
    group.add_argument(
        "--allow-missing",
        action="store_true",
        help="let the gate pass although rows of the first report have no partner",
    )
    group.add_argument("--markdown", type=Path, metavar="FILE", help="write the speed as Markdown")
    group.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw the ratios: a .png or .svg file"
    )


def wanted(parsed: argparse.Namespace) -> list[str]:
    """Returns which flags were given that only the speed part has."""
    names = ("across", "fail_on", "alpha", "allow_missing", "markdown", "picture")
    return [f"--{name.replace('_', '-')}" for name in names if getattr(parsed, name)]


def sources_of(paths: Sequence[Path], variants: Sequence[str]) -> list[Source]:
    """Returns the speeds of reports, of these variants or all; labels are made distinct."""
    from dataclasses import replace

    from cnnbench.comparing.read_reports import read_speeds

    found = [read_speeds(path) for path in paths]
    if variants:
        found = [
            replace(one, speeds=tuple(row for row in one.speeds if row.variant in variants))
            for one in found
        ]
    labels = [one.label for one in found]
    return [
        replace(one, label=f"{one.label} ({number})") if labels.count(one.label) > 1 else one
        for number, one in enumerate(found, start=1)
    ]


def compare(sources: Sequence[Source], parsed: argparse.Namespace) -> Speeds:
    """Compares the sources as the flags say.

    Raises:
        ValueError: if a flag is wrong, or there is nothing to compare.
    """
    from cnnbench.comparing.ratio_frame import compare_all, judge_all
    from cnnbench.comparing.ratio_gate import parse_margin
    from cnnbench.verdicts.gates.ratio import RatioRule

    across = [name.strip() for name in parsed.across.split(",") if name.strip()]
    alpha = ALPHA if parsed.alpha is None else parsed.alpha
    if not 0 < alpha < 0.5:
        raise ValueError(
            f"--alpha: expected a probability above 0 and below 0.5. Received: {alpha}"
        )
    rule = None if parsed.fail_on is None else RatioRule(parse_margin(parsed.fail_on), alpha)
    comparisons = compare_all(sources, across)
    outcome = None
    if rule is not None:
        outcome = judge_all(comparisons, rule, allow_missing=parsed.allow_missing)
    return Speeds(comparisons, outcome)


class Speeds:
    """The comparisons of a command, and its gate's outcome if it has one."""

    def __init__(self, comparisons: Sequence[Comparison], outcome: Outcome | None) -> None:
        self.comparisons = comparisons
        self.outcome = outcome

    @property
    def code(self) -> int:
        return EXIT_CODES[self.outcome.verdict] if self.outcome else 0

    def text(self, markdown: bool = False) -> str:
        from cnnbench.comparing.ratio_text import text_of

        return text_of(self.comparisons, self.outcome, markdown=markdown)

    def write(self, parsed: argparse.Namespace) -> list[str]:
        """Writes what the flags ask for; returns a line a file."""
        from cnnbench.comparing.ratio_frame import frame_of

        lines = []
        if parsed.picture:
            # First, since it can be refused.
            from cnnbench.comparing.ratio_picture import draw_ratios

            try:
                draw_ratios(self.comparisons, parsed.picture)
            except ModuleNotFoundError as error:
                raise ValueError(str(error)) from error
            lines.append(f"picture: {parsed.picture}")
        if parsed.csv:
            frame = frame_of(self.comparisons, self.outcome)
            frame.to_csv(parsed.csv, index=False, lineterminator="\n")
            lines.append(f"table: {parsed.csv}")
        if parsed.markdown:
            parsed.markdown.write_text(self.text(markdown=True) + "\n", encoding="utf-8")
            lines.append(f"markdown: {parsed.markdown}")
        return lines
