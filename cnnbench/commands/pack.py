"""Put a report into one file."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", type=Path, metavar="REPORT", help="report folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .zip file; default: REPORT.zip beside it"
    )
    parser.add_argument("--replace", action="store_true", help="overwrite an existing file")


def run(parsed: argparse.Namespace) -> int:
    from cnnbench.report.folder import pack

    folder = parsed.report.resolve()
    out = parsed.out or folder.with_name(f"{folder.name}.zip")
    pack(folder, out, replace=parsed.replace)
    print(f"pack: {out} ({out.stat().st_size} bytes)")
    return 0
