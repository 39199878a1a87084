"""`cnnbench show`: the summary of a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("show", help="print the summary of a report")
    parser.add_argument("report", nargs="?", type=Path, help="report folder; default: the newest")
    parser.add_argument("--report-dir", type=Path, default=Path("reports"), help="where to look")
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    from cnnbench.ab.report_files import read_result
    from cnnbench.report.frames import load_report
    from cnnbench.report.summary import summary_text

    path = parsed.report or _newest(parsed.report_dir)
    print(read_result(path) or summary_text(load_report(path)))
    print(f"report: {path}")
    return 0


def _newest(parent: Path) -> Path:
    from cnnbench.records.journal import JOURNAL_NAME

    # Names begin with the UTC time, so the last by name is the newest.
    reports = [path for path in parent.glob("*") if (path / JOURNAL_NAME).is_file()]
    if not reports:
        raise FileNotFoundError(
            "There is no report in this folder: run `cnnbench run` first, or name a report. "
            f"Received: report_dir={str(parent)!r}"
        )
    return max(reports, key=lambda path: path.name)
