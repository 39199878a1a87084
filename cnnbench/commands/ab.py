"""`cnnbench ab BASE HEAD`: is HEAD slower? Pairs of fresh processes decide."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.ab.settings import FLAGS, Settings, settings_from
from cnnbench.commands.flags import add_flags, options_of

if TYPE_CHECKING:
    from cnnbench.ab.sides import Side

OWN_OPTIONS = ("data", "split_seed", "validation_fraction", "image_size", "cache_dir", "backends")
FAILED_SIDE = 11
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}

EPILOG = """
a side is a variant (documented), your own model (package.module:function), a git revision, or
key=value,key=value with the keys rev, variant, batch_size, threads and backend; without HEAD, HEAD
is the folder as it lies here. Examples:
  cnnbench ab main --variant mymodel:build
  cnnbench ab rev=main,variant=mymodel:build variant=mymodel:build,batch_size=64
  cnnbench ab documented functional --workload inference

exit codes: 0 pass, 1 fail, 10 inconclusive, 2 bad input, 11 a side could not be measured
"""


def add_to(commands: Any) -> None:
    """Adds the command to argparse's subparsers."""
    parser = commands.add_parser(
        "ab",
        help="is HEAD slower than BASE? pairs of fresh processes decide",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sides", nargs="*", metavar="BASE HEAD", help="the two sides; see below")
    parser.add_argument("--variant", default="documented", help="of sides that name none")
    for name, flag in FLAGS.items():
        parser.add_argument(_flag(name), metavar=flag.metavar, help=flag.help)
    add_flags(parser, OWN_OPTIONS)
    parser.add_argument("--report-dir", type=Path, default=Path("reports"), help="where it goes")
    parser.add_argument(
        "--allow-inconclusive", action="store_true", help="exit code 0 instead of 10"
    )
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="keep HEAD's step times for --against"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="a stored record in BASE's place; informs only"
    )
    parser.add_argument(
        "--fail-on-stored",
        action="store_true",
        help="let the comparison with a stored record fail, if machine and packages are the same",
    )
    parser.set_defaults(command=run)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    from cnnbench.ab.processes import SideFailed

    # A process that is told to go must still end its children and remove its checkouts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _run(parsed)
    except SideFailed as error:
        print(f"cnnbench: error: {error}", file=sys.stderr)
        if error.details:
            print(error.details.rstrip(), file=sys.stderr)
        return FAILED_SIDE


def _run(parsed: argparse.Namespace) -> int:
    from cnnbench.ab import stored
    from cnnbench.ab.comparison import Comparison
    from cnnbench.ab.sides import placed

    options = options_of(parsed, OWN_OPTIONS)
    settings = settings_from({name: getattr(parsed, name) for name in FLAGS})
    sides = _sides(parsed, settings, options.backends[0])
    then = stored.load(parsed.against) if parsed.against else None
    if parsed.store is not None and not parsed.store.resolve().parent.is_dir():
        raise FileNotFoundError(f"--store: no such folder. Received: store={str(parsed.store)!r}")
    from cnnbench.pictures import read_splits

    splits = read_splits(options, _say)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cnnbench-")))
        ready = stack.enter_context(placed(sides, Path.cwd(), scratch))
        splits.save(scratch / "pictures.json")
        work = Comparison(
            *(settings, ready, splits, scratch / "pictures.json", parsed.report_dir, _say),
            keep=parsed.store is not None or then is not None,
        )
        if then is None:
            verdict, alone = work.gate()
        else:
            verdict, alone = work.inform(then, may_fail=parsed.fail_on_stored)
        if parsed.store is not None:
            stored.save(parsed.store, work.stored(alone))
            _say(f"stored: {parsed.store}")
        _say(f"report: {work.folder}")
    if verdict == "inconclusive" and parsed.allow_inconclusive:
        return 0
    return EXIT_CODES[verdict]


def _sides(parsed: argparse.Namespace, settings: Settings, backend: str) -> tuple[Side, ...]:
    """Returns BASE and HEAD, or HEAD alone with `--against`."""
    from cnnbench.ab.sides import Side, parse_side
    from cnnbench.backends import require_backends
    from cnnbench.variants import variant_named

    most, least = (1, 0) if parsed.against else (2, 1)
    if not least <= len(parsed.sides) <= most:
        expected = "HEAD at most, since a stored record is BASE" if parsed.against else "BASE HEAD"
        raise ValueError(f"Expected {expected}. Received: sides={' '.join(parsed.sides)!r}")
    if parsed.fail_on_stored and not parsed.against:
        raise ValueError("--fail-on-stored: expected --against FILE with it.")
    require_backends((backend,))
    default = Side(
        *("HEAD", variant_named(parsed.variant), settings.batch_size, settings.threads, backend)
    )
    names = ("HEAD",) if parsed.against else ("BASE", "HEAD")
    sides, problems = [], []
    for index, name in enumerate(names):
        side = replace(default, name=name)
        try:
            given = index < len(parsed.sides)
            sides.append(parse_side(parsed.sides[index], side, Path.cwd()) if given else side)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return tuple(sides)


def _say(text: str) -> None:
    print(text, flush=True)
