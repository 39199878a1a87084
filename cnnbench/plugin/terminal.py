"""What people see: lines of progress, verdicts, the summary, and pytest-benchmark's tables."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import nullcontext
from typing import Any

import pytest

from cnnbench.plugin.collection import GROUPS
from cnnbench.plugin.running import RUNNING_KEY

Groups = list[tuple[str, list[dict[str, Any]]]]
COLUMNS = ["min", "median", "ops", "rounds"]


def printer(config: pytest.Config) -> Callable[[str], None]:
    """Returns a function that prints a line of its own between pytest's; not under -qq."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        if reporter is None or config.get_verbosity() < -1:
            return
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            reporter.ensure_newline()
            reporter.write_line(text)

    return say


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Returns how pytest's own lines show an undecided check; `None` leaves it to pytest."""
    if report.when == "call" and ("verdict", "inconclusive") in report.user_properties:
        return "inconclusive", "?", "INCONCLUSIVE"
    return None


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_benchmark_group_stats(config: pytest.Config) -> Generator[None, Groups, Groups]:
    """Makes pytest-benchmark's tables of cnnbench's tests narrow; what a user chose stays.

    Its session has read the option for columns before any test is known to be one of cnnbench's.
    """
    groups = yield
    ours = [benchmarks for group, benchmarks in groups if group in GROUPS.values()]
    session = getattr(config, "_benchmarksession", None)
    if ours and session is not None and not config.getoption("benchmark_columns", None):
        session.columns = COLUMNS
    for benchmarks in ours:
        names = [one["name"].removeprefix("test_") for one in benchmarks]
        places = [name.partition("[")[2].removesuffix("]") for name in names]
        # The group says what was measured, unless it has two tests of the same place.
        short = places if all(places) and len(set(places)) == len(places) else names
        for one, name in zip(benchmarks, short, strict=True):
            one["name"] = name
    return groups


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the reasons of undecided checks, and the summary of the report."""
    reporter, running = terminalreporter, terminalreporter.config.stash.get(RUNNING_KEY, None)
    if running is None or running.session.report is None:
        return
    from cnnbench.report.summary import summary_text

    undecided = reporter.stats.get("inconclusive", [])
    if undecided:
        reporter.write_sep("=", "INCONCLUSIVE")
    for report in undecided:
        reporter.write_line(f"{report.nodeid}: {_reason(report)}")
    reporter.write_sep("=", "cnnbench")
    reporter.write_line(summary_text(running.session.report))
    reporter.write_line(f"report: {running.session.directory}")


def _reason(report: pytest.TestReport) -> str:
    # xfail() keeps its reason here; a failure's is its text.
    allowed: str = getattr(report, "wasxfail", "")
    return allowed.removeprefix("reason: ") or report.longreprtext
