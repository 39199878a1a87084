"""Runs pytest as a user does, in a process of its own, and reads what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import cnnbench
from cnnbench.report.frames import Report, load_report

ROOT = Path(__file__).parent.parent
SUITES = ROOT / "suites"
QUICK = (
    "--cnnbench-image-size=24",
    "--cnnbench-epochs=4",
    "--cnnbench-rounds=2",
    "--cnnbench-warmup-rounds=1",
    # One process does everything: each imports a backend, which takes longer than these trainings.
    "--cnnbench-workers=1",
    "--cnnbench-threads=1",
)


@dataclass(frozen=True)
class SuiteRun:
    """A finished pytest process: exit code, output, JUnit outcomes by test name."""

    code: int
    output: str
    outcomes: dict[str, str]
    messages: dict[str, str]
    folder: Path

    @property
    def reports(self) -> list[Path]:
        return sorted((self.folder / "reports").glob("*"))

    def report(self) -> Report:
        (only,) = self.reports
        return load_report(only)

    def named(self, outcome: str) -> set[str]:
        return {name for name, seen in self.outcomes.items() if seen == outcome}


def run_pytest(folder: Path, *arguments: str, suites: Path | str = SUITES) -> SuiteRun:
    """Runs `pytest suites/` with these arguments, with reports and JUnit in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    junit = folder / "junit.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(suites)),
            *("--cnnbench-report-dir", str(folder / "reports"), "--junitxml", str(junit)),
            *("-p", "no:cacheprovider", *arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    outcomes, messages = _read_junit(junit) if junit.exists() else ({}, {})
    return SuiteRun(done.returncode, done.stdout + done.stderr, outcomes, messages, folder)


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `cnnbench` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "cnnbench.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(cnnbench.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def _read_junit(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    outcomes, messages = {}, {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = case.attrib["name"]
        outcomes[name] = "passed"
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                outcomes[name] = kind
                messages[name] = found.attrib.get("message", "") + (found.text or "")
    return outcomes, messages
