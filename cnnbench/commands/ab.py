"""Compare the throughput of two sides: is B slower than A?

A side is a variant (documented), your own model (package.module:function), a git revision, or
key=value,key=value with the keys rev, variant, batch_size, threads and backend. Examples:
  cnnbench ab main --variant mymodel:build
  cnnbench ab rev=main,variant=mymodel:build variant=mymodel:build,batch_size=64
  cnnbench ab documented functional --workload inference

Exit codes: 0 pass, 1 fail, 10 inconclusive, 2 bad input, 11 a side could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from cnnbench.ab.sides import AB_OPTIONS, Side, parse_sides, placed, settings_from
from cnnbench.commands.flags import DATA, EXIT_CODES, add_flags, options_of, say
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.session.workers.process import JobError

FAILED_SIDE = 11
OPTIONS = (*DATA, "report_dir")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="the first side")
    parser.add_argument("b", nargs="?", metavar="B", help="the second; default: the current folder")
    parser.add_argument("--variant", default="documented", help="of sides that name none")
    add_flags(parser, AB_OPTIONS, AB_OPTIONS)
    add_flags(parser, OPTIONS)
    parser.add_argument("--allow-inconclusive", action="store_true", help="exit code 0, not 10")


def run(parsed: argparse.Namespace) -> int:
    from cnnbench.ab.run import compare_sides
    from cnnbench.session.session import read_splits

    # A terminated process must still end its children and remove its checkouts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = options_of(parsed, OPTIONS)
    settings = settings_from({name: getattr(parsed, name) for name in AB_OPTIONS})
    default = Side(
        "A",
        variant_named(parsed.variant),
        Place(options.backends[0], settings.device, settings.threads),
        settings.batch_size,
    )
    sides, splits = parse_sides(parsed.a, parsed.b, default, Path.cwd()), read_splits(options, say)
    try:
        with placed(sides, Path.cwd()) as ready:
            verdict = compare_sides(ready, settings, splits, report_dir=options.report_dir, say=say)
    except JobError as error:
        print(f"cnnbench: error: {error}", error.details.rstrip(), sep="\n", file=sys.stderr)
        return FAILED_SIDE
    if verdict == "inconclusive" and parsed.allow_inconclusive:
        return 0
    return EXIT_CODES[verdict]
