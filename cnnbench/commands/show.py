"""Print the summary of a report."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", nargs="?", type=Path, help="report folder; default: the newest")
    parser.add_argument("--report-dir", type=Path, default=Path("reports"), help="where to look")


def run(parsed: argparse.Namespace) -> int:
    from cnnbench.ab.run import read_result
    from cnnbench.report.frames import load_report
    from cnnbench.report.summary import summary_text

    path = parsed.report or _newest(parsed.report_dir)
    print(read_result(path) or summary_text(load_report(path)))
    print(f"report: {path}")
    return 0


def _newest(parent: Path) -> Path:
    from cnnbench.records.journal import JOURNAL_NAME

    reports = [path.parent for path in parent.glob(f"*/{JOURNAL_NAME}")]
    if not reports:
        raise FileNotFoundError(
            "There is no report in this folder: run `cnnbench run` first, or name a report. "
            f"Received: report_dir={str(parent)!r}"
        )
    return max(reports)  # names begin with the UTC time
