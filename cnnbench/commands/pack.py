"""`cnnbench pack`: a report as one file, without names of machine and user."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("pack", help="put a report into one file that can be given away")
    parser.add_argument("report", type=Path, metavar="REPORT", help="report folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .zip file; default: REPORT.zip beside it"
    )
    parser.add_argument(
        "--with-names",
        action="store_true",
        help="add host and user name to the environment, and let them stand elsewhere",
    )
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    from cnnbench.packing import GENERIC, names_here, pack

    folder = parsed.report.resolve()
    out = parsed.out or folder.with_name(f"{folder.name}.zip")
    names = names_here()
    left_out = pack(parsed.report, out, with_names=parsed.with_names, names=names)
    for name in left_out:
        print(f"left out, not a file of a report: {name}")
    if not parsed.with_names:
        for kind, name in (("host", names.host), ("user", names.user)):
            if name.lower() in GENERIC:
                print(f"not searched for, since it names nobody: {kind} {name!r}")
    print(f"pack: {out} ({out.stat().st_size} bytes)")
    return 0
