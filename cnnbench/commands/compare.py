"""`cnnbench compare`: speed of reports, and their answers to the same held-out pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cnnbench.commands.flags import add_flags
from cnnbench.session.option_parsers import at_least, fraction, one_of, rate, words
from cnnbench.session.option_table import option, options_in, parse_all

if TYPE_CHECKING:
    from cnnbench.comparing.ratio_gate import SpeedVerdict
    from cnnbench.comparing.ratios import SpeedComparison
    from cnnbench.comparing.recipes import Recipe, RecipeComparison

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}
SPEED_ONLY = ("across", "fail_on", "alpha", "markdown", "picture")


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    only: Annotated[
        str,
        option(one_of(("speed", "answers")), "PART", "speed or answers; default: what there is"),
    ] = ""
    variants: Annotated[
        Sequence[str],
        option(
            words,
            "NAMES",
            "with one report: variants to compare with the first of them; with more: which to "
            "compare; default: all in common",
        ),
    ] = ()
    csv: Annotated[
        Path | None,
        option(
            Path,
            "FILE",
            "write the ratios of speed, or the three questions about answers; if there are both, "
            "answers go to FILE-answers.csv",
        ),
    ] = None
    pictures: Annotated[int, option(at_least(0), "N", "pictures with changed answers to name")] = 5
    across: Annotated[
        Sequence[str],
        option(
            words,
            "COLUMNS",
            "columns that may differ between compared rows, of variant, backend, device, dtype and "
            "batch_size; with one report, what to compare within it; default: none",
        ),
    ] = ()
    fail_on: Annotated[
        float | None,
        option(
            fraction,
            "SHARE",
            "gate: fail if a row takes that share more time, for example 5%%; exit codes: "
            "0 pass, 1 fail, 10 inconclusive",
        ),
    ] = None
    alpha: Annotated[
        float, option(rate, "RATE", "probability that any row fails although none is slower")
    ] = 0.01
    markdown: Annotated[Path | None, option(Path, "FILE", "write the speed as Markdown")] = None
    picture: Annotated[
        Path | None, option(Path, "FILE", "draw the ratios: a .png or .svg file")
    ] = None


OPTIONS = options_in(Asked)


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
    asked, reports = Asked(**parse_all(OPTIONS, given, prefix="--")), parsed.reports
    flags = [f"--{OPTIONS[name].stem}" for name in SPEED_ONLY if name in given]
    flags += ["--allow-missing"] if parsed.allow_missing else []
    if asked.only == "answers" and flags:
        raise ValueError(
            f"--only answers: these options need the speed part. Received: {', '.join(flags)}"
        )
    must = asked.only == "speed" or bool(flags)
    speed = _speed(reports, asked, must=must, allow_missing=parsed.allow_missing)
    recipes, refusal = _recipes(reports, asked, must=speed is None)
    verdict = None if speed is None else speed[1]
    # Files first, since they can be refused.
    lines = _write(asked, speed, recipes)
    texts = []
    if speed is not None:
        from cnnbench.comparing.ratio_tables import ratio_text

        texts.append(ratio_text(*speed))
    if recipes:
        from cnnbench.comparing.recipe_text import recipe_text

        texts += [recipe_text(one, asked.pictures) for one in recipes]
    if refusal:
        texts.append(f"Answers are not compared. {refusal}")
    print("\n\n".join(texts))
    print("".join(f"{line}\n" for line in lines), end="")
    return 0 if verdict is None else EXIT_CODES[verdict.verdict]


def _speed(
    reports: Sequence[Path], asked: Asked, *, must: bool, allow_missing: bool
) -> tuple[list[SpeedComparison], SpeedVerdict | None] | None:
    """Returns the speed part; `None` where nobody asked for it and the reports have none."""
    from cnnbench.comparing.ratio_gate import judge_speeds
    from cnnbench.comparing.ratios import compare_all
    from cnnbench.comparing.speeds import read_speeds
    from cnnbench.verdicts.gates.ratio import RatioRule

    if asked.only == "answers" or (len(reports) == 1 and not must):
        return None
    found = [read_speeds(path) for path in reports]
    if asked.variants:
        found = [
            replace(one, rows=tuple(row for row in one.rows if row.variant in asked.variants))
            for one in found
        ]
    if not must and not all(one.rows for one in found):
        return None
    labels = [one.label for one in found]
    found = [
        replace(one, label=f"{one.label} ({number})") if labels.count(one.label) > 1 else one
        for number, one in enumerate(found, start=1)
    ]
    comparisons = compare_all(found, asked.across)
    if asked.fail_on is None:
        return comparisons, None
    rule = RatioRule(asked.fail_on, asked.alpha)
    return comparisons, judge_speeds(comparisons, rule, allow_missing=allow_missing)


def _recipes(
    reports: Sequence[Path], asked: Asked, *, must: bool
) -> tuple[list[RecipeComparison], str]:
    """Returns the comparisons of answers, and why there are none beside a comparison of speed."""
    from cnnbench.comparing.recipes import compare_recipes

    is_within = len(reports) == 1 and len(asked.variants) < 2
    if asked.only == "speed" or (not must and is_within):
        return [], ""
    try:
        return [compare_recipes(*pair) for pair in _pairs(reports, asked.variants)], ""
    except ValueError as error:
        if must:
            raise
        # Other machines may have seen other pictures; their speeds can still be compared.
        return [], str(error)


def _pairs(paths: Sequence[Path], names: Sequence[str]) -> Iterator[tuple[Recipe, Recipe]]:
    from cnnbench.comparing.recipes import recipe_of, variants_of
    from cnnbench.report.frames import load_report

    reports = [(path.resolve().name.removesuffix(".zip"), load_report(path)) for path in paths]
    (label, first), others = reports[0], reports[1:]
    known = variants_of(first)
    if not others:
        if len(names) < 2:
            raise ValueError(
                f"With one report, --variants names at least two of its variants: "
                f"{', '.join(known)}. Received: variants={','.join(names)!r}"
            )
        before, *after = (recipe_of(first, name, name) for name in names)
        yield from ((before, one) for one in after)
    for other_label, other in others:
        common = names or [name for name in known if name in variants_of(other)]
        if not common:
            raise ValueError(
                "The reports have no trained variant in common. Received: "
                f"{label}: {', '.join(known) or 'none'}; "
                f"{other_label}: {', '.join(variants_of(other)) or 'none'}"
            )
        for name in common:
            yield (
                recipe_of(first, name, f"{name} of {label}"),
                recipe_of(other, name, f"{name} of {other_label}"),
            )


def _write(
    asked: Asked,
    speed: tuple[list[SpeedComparison], SpeedVerdict | None] | None,
    recipes: Sequence[RecipeComparison],
) -> list[str]:
    """Writes the files that were asked for; returns a line for each."""
    lines = []
    if speed is not None:
        from cnnbench.comparing.ratio_tables import ratio_frame, ratio_text

        if asked.picture:
            from cnnbench.comparing.ratio_picture import draw_ratios

            draw_ratios(speed[0], asked.picture)
            lines.append(f"picture: {asked.picture}")
        if asked.csv:
            ratio_frame(*speed).to_csv(asked.csv, index=False, lineterminator="\n")
            lines.append(f"table: {asked.csv}")
        if asked.markdown:
            text = ratio_text(*speed, markdown=True)
            asked.markdown.write_text(f"{text}\n", encoding="utf-8")
            lines.append(f"markdown: {asked.markdown}")
    if asked.csv and recipes:
        import pandas as pd

        from cnnbench.comparing.recipe_text import question_rows

        file = asked.csv
        if speed is not None:
            file = file.with_name(f"{file.stem}-answers{file.suffix}")
        rows = [row for one in recipes for row in question_rows(one)]
        pd.DataFrame(rows).to_csv(file, index=False, lineterminator="\n")
        lines.append(f"table: {file}")
    return lines
