"""Sessions of pytest within the tests' own process."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from made_up import MadeUp, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """What every session finds that is started in this test's process."""
    found = World()
    monkeypatch.setattr(
        "cnnbench.session.session.Session",
        lambda *arguments: MadeUp(found, *arguments),
    )
    return found


@dataclass(frozen=True)
class Outcome:
    """A finished pytest session: JUnit's outcomes, messages and properties by test name."""

    code: int
    output: str
    outcomes: dict[str, str]
    messages: dict[str, str]
    properties: dict[str, dict[str, str]]


@pytest.fixture
def own(pytester: pytest.Pytester) -> Callable[..., Outcome]:
    """Runs tests that a user wrote, in this process."""

    def run(tests: str, *arguments: str, conftest: str = "", ini: str = "") -> Outcome:
        pytester.makepyfile(test_own=f"import pytest\n{tests}")
        pytester.makeconftest(f"import pytest\n{conftest}")
        pytester.makeini(f"[pytest]\n{ini}")
        done = pytester.runpytest_inprocess("--junitxml=junit.xml", *arguments)
        cases = {}
        if (pytester.path / "junit.xml").exists():
            tree = ElementTree.parse(pytester.path / "junit.xml")
            cases = {case.attrib["name"]: case for case in tree.iter("testcase")}
        found = {
            name: next((one for one in case if one.tag in ("failure", "error", "skipped")), None)
            for name, case in cases.items()
        }
        return Outcome(
            code=int(done.ret),
            output=done.stdout.str() + done.stderr.str(),
            outcomes={k: "passed" if v is None else v.tag for k, v in found.items()},
            messages={
                k: v.attrib.get("message", "") + (v.text or "")
                for k, v in found.items()
                if v is not None
            },
            properties={
                name: {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
                for name, case in cases.items()
            },
        )

    return run
