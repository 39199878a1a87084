"""Finished sessions of pytest, and commands, as a user starts them: in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cnnbench
from cnnbench.report.frames import Report, load_report

ROOT = Path(__file__).parent.parent
SUITES = ROOT / "suites"


@dataclass(frozen=True)
class SuiteRun:
    """A finished session of pytest: JUnit's outcomes, messages and properties by test name."""

    code: int
    output: str
    folder: Path
    outcomes: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    properties: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        junit = self.folder / "junit.xml"
        for case in ElementTree.parse(junit).iter("testcase") if junit.exists() else ():
            name, found = case.attrib["name"], case.iter("property")
            self.properties[name] = {one.attrib["name"]: one.attrib["value"] for one in found}
            self.outcomes[name] = "passed"
            for end in case:
                if end.tag in ("failure", "error", "skipped"):
                    self.outcomes[name] = end.tag
                    self.messages[name] = end.get("message", "") + (end.text or "")

    @property
    def reports(self) -> list[Path]:
        return sorted(self.folder.glob("reports/*"))

    def report(self) -> Report:
        (only,) = self.reports
        return load_report(only)

    def benchmarks(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "benchmark.json").read_text()))

    def named(self, outcome: str) -> set[str]:
        return {name for name, seen in self.outcomes.items() if seen == outcome}


def into(folder: Path) -> list[str]:
    """Returns the arguments that put a session's files into a folder."""
    reports, junit = f"--cnnbench-report-dir={folder / 'reports'}", f"--junitxml={folder}/junit.xml"
    return [reports, junit, "-p", "no:cacheprovider"]


def run_pytest(folder: Path, *arguments: str) -> SuiteRun:
    """Runs `pytest suites/`; reports and JUnit go into the folder."""
    done = _python(ROOT, ROOT / "tests", "-m", "pytest", str(SUITES), *into(folder), *arguments)
    return SuiteRun(done.returncode, done.stdout + done.stderr, folder)


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `cnnbench`."""
    package = Path(cnnbench.__file__).parent.parent
    return _python(cwd, package, "-m", "cnnbench.cli", *arguments)


def _python(cwd: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "COLUMNS": "200"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
