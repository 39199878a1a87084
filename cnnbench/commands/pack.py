"""`cnnbench pack`: a report as one file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("pack", help="put a report into one file")
    parser.add_argument("report", type=Path, metavar="REPORT", help="report folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .zip file; default: REPORT.zip beside it"
    )
    parser.add_argument("--replace", action="store_true", help="overwrite an existing file")
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    from cnnbench.report.folder import pack

    folder = parsed.report.resolve()
    out = parsed.out or folder.with_name(f"{folder.name}.zip")
    pack(folder, out, replace=parsed.replace)
    print(f"pack: {out} ({out.stat().st_size} bytes)")
    return 0
