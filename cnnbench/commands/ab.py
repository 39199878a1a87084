"""`cnnbench ab BASE HEAD`: is HEAD slower? Pairs of fresh processes decide."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.ab.settings import AB_OPTIONS, Settings, settings_from
from cnnbench.commands.flags import add_flags, options_of

if TYPE_CHECKING:
    from cnnbench.ab.sides import Side

OWN_OPTIONS = ("data", "split_seed", "validation_fraction", "image_size", "cache_dir", "backends")
FAILED_SIDE = 11
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}

EPILOG = """
a side is a variant (documented), your own model (package.module:function), a git revision, or
key=value,key=value with the keys rev, variant, batch_size, threads and backend; without HEAD, HEAD
is the folder as it is. Examples:
  cnnbench ab main --variant mymodel:build
  cnnbench ab rev=main,variant=mymodel:build variant=mymodel:build,batch_size=64
  cnnbench ab documented functional --workload inference

exit codes: 0 pass, 1 fail, 10 inconclusive, 2 bad input, 11 a side could not be measured
"""


def add_to(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    parser = commands.add_parser(
        "ab",
        help="compare the throughput of two sides: is HEAD slower than BASE?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="the first side; see below")
    parser.add_argument(
        "head", nargs="?", metavar="HEAD", help="the other; default: the folder as it is"
    )
    parser.add_argument(
        "--variant", default="documented", help="of sides that name none; default: documented"
    )
    add_flags(parser, AB_OPTIONS, AB_OPTIONS)
    add_flags(parser, OWN_OPTIONS)
    parser.add_argument(
        "--report-dir",
        type=Path,
        default=Path("reports"),
        help="where report folders go; default: reports",
    )
    parser.add_argument(
        "--allow-inconclusive", action="store_true", help="exit code 0 instead of 10"
    )
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    from cnnbench.ab.processes import SideFailed

    # A terminated process must still end its children and remove its checkouts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _run(parsed)
    except SideFailed as error:
        print(f"cnnbench: error: {error}", file=sys.stderr)
        if error.details:
            print(error.details.rstrip(), file=sys.stderr)
        return FAILED_SIDE


def _run(parsed: argparse.Namespace) -> int:
    from cnnbench.ab.run import compare_sides
    from cnnbench.ab.sides import placed
    from cnnbench.session.opened_pictures import read_splits

    options = options_of(parsed, OWN_OPTIONS)
    settings = settings_from({name: getattr(parsed, name) for name in AB_OPTIONS})
    sides = _sides(parsed, settings, options.backends[0])
    splits = read_splits(options, _say)
    with (
        tempfile.TemporaryDirectory(prefix="cnnbench-") as scratch,
        placed(sides, Path.cwd(), Path(scratch)) as (base, head),
    ):
        verdict = compare_sides(
            base,
            head,
            settings,
            splits,
            report_dir=parsed.report_dir,
            say=_say,
        )
    if verdict == "inconclusive" and parsed.allow_inconclusive:
        return 0
    return EXIT_CODES[verdict]


def _sides(parsed: argparse.Namespace, settings: Settings, backend: str) -> tuple[Side, ...]:
    """Returns BASE and HEAD."""
    from cnnbench.ab.sides import Side, parse_side
    from cnnbench.machine.backends import require_backends
    from cnnbench.models.variants import variant_named

    require_backends((backend,))
    head = Side(
        name="HEAD",
        variant=variant_named(parsed.variant),
        batch_size=settings.batch_size,
        threads=settings.threads,
        backend=backend,
    )
    sides, problems = [], []
    for side, text in ((replace(head, name="BASE"), parsed.base), (head, parsed.head)):
        try:
            sides.append(side if text is None else parse_side(text, side, Path.cwd()))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(sides)


def _say(text: str) -> None:
    print(text, flush=True)
