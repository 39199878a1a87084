"""Finished sessions of pytest, and commands, as a user starts them: in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cnnbench
from cnnbench.report.frames import Report, load_report

ROOT = Path(__file__).parent.parent
SUITES = ROOT / "suites"


@dataclass(frozen=True)
class SuiteRun:
    """A finished session of pytest; its `folder` has reports and `junit.xml`."""

    code: int
    output: str
    folder: Path

    @cached_property
    def _cases(self) -> list[tuple[str, ElementTree.Element, dict[str, str]]]:
        """How each test ended, and its properties; none if nothing was collected."""
        junit, found = self.folder / "junit.xml", []
        for case in ElementTree.parse(junit).iter("testcase") if junit.exists() else ():
            properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
            ends = [part for part in case if part.tag in ("failure", "error", "skipped")]
            end = ends[0] if ends else ElementTree.Element("passed")
            found.append((case.attrib["name"], end, properties))
        return found

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: end.tag for name, end, _ in self._cases}

    @property
    def messages(self) -> dict[str, str]:
        ends = {name: end for name, end, _ in self._cases if end.tag != "passed"}
        return {name: end.get("message", "") + (end.text or "") for name, end in ends.items()}

    @property
    def properties(self) -> dict[str, dict[str, str]]:
        return {name: properties for name, _, properties in self._cases}

    @property
    def reports(self) -> list[Path]:
        return sorted(self.folder.glob("reports/*"))

    def report(self) -> Report:
        (only,) = self.reports
        return load_report(only)

    def named(self, outcome: str) -> set[str]:
        return {name for name, seen in self.outcomes.items() if seen == outcome}


def run_pytest(folder: Path, *arguments: str) -> SuiteRun:
    """Runs `pytest suites/` with these arguments, with reports and JUnit in `folder`."""
    command = ["-m", "pytest", str(SUITES), *into(folder), *arguments]
    done = _python(command, ROOT, {"PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "200"})
    return SuiteRun(done.returncode, done.stdout + done.stderr, folder)


def into(folder: Path) -> list[str]:
    """Returns the arguments that put a session's files into a folder."""
    reports, junit = f"--cnnbench-report-dir={folder / 'reports'}", f"--junitxml={folder}/junit.xml"
    return [reports, junit, "-p", "no:cacheprovider"]


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `cnnbench` with these arguments."""
    path = str(Path(cnnbench.__file__).parent.parent)
    return _python(["-m", "cnnbench.cli", *arguments], cwd, {"PYTHONPATH": path})


def _python(
    command: list[str], cwd: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True
    )
