"""Sessions of pytest in the tests' own process, whose workers are no processes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# pytester forgets what a session has imported, and NumPy and SciPy can't be loaded twice.
import cnnbench.pictures.near_duplicates
import cnnbench.report.frames
import cnnbench.report.summary
import cnnbench.verdicts.gates.rules  # noqa: F401


@dataclass(frozen=True)
class Outcome:
    """A finished pytest session: JUnit's outcomes, messages and properties by test name."""

    code: int
    output: str
    outcomes: dict[str, str]
    messages: dict[str, str]
    properties: dict[str, dict[str, str]]
    reports: list[Path]


@pytest.fixture
def own(pytester: pytest.Pytester, tiny_folder: Path) -> Callable[..., Outcome]:
    """Runs tests that a user wrote, on tiny pictures and for the variant `wide`."""

    def run(tests: str, *arguments: str, conftest: str = "") -> Outcome:
        pytester.makepyfile(test_own=f"import pytest\n{tests}")
        pytester.makeconftest(f"import pytest\n{conftest}")
        pytester.makeini(
            "[pytest]\ncnnbench_variants = wide\ncnnbench_seeds = 0\ncnnbench_image_size = 24\n"
            f"cnnbench_data = {tiny_folder}\n"
        )
        done = pytester.runpytest_inprocess("--junitxml=junit.xml", *arguments)
        cases = {}
        if (pytester.path / "junit.xml").exists():
            tree = ElementTree.parse(pytester.path / "junit.xml")
            cases = {case.attrib["name"]: case for case in tree.iter("testcase")}
        ends = {
            name: next(
                (part for part in case if part.tag in ("failure", "error", "skipped")),
                ElementTree.Element("passed"),
            )
            for name, case in cases.items()
        }
        return Outcome(
            code=int(done.ret),
            output=done.stdout.str() + done.stderr.str(),
            outcomes={name: end.tag for name, end in ends.items()},
            messages={
                name: end.attrib.get("message", "") + (end.text or "")
                for name, end in ends.items()
                if end.tag != "passed"
            },
            properties={
                name: {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
                for name, case in cases.items()
            },
            reports=sorted(pytester.path.glob("reports/*")),
        )

    return run
