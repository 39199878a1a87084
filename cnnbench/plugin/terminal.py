"""What people see: lines of progress, verdicts, the summary, and pytest-benchmark's tables."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin.running import RUNNING_KEY

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

GROUPS = {
    "cnnbench_held_out": "pictures: seconds to read the data set",
    "cnnbench_near_duplicates": "pictures: seconds to compare both sides",
    "cnnbench_run": "training: seconds of a run",
    "cnnbench_memorization": "sanity: seconds of a short training",
    "cnnbench_shuffled_labels": "sanity: seconds of a short training",
    "cnnbench_training_throughput": "training: one picture (OPS = pictures/s)",
    "cnnbench_inference_throughput": "inference: one picture (OPS = pictures/s)",
}
Groups = list[tuple[str, list[dict[str, Any]]]]


class Screen:
    """Prints between pytest's lines, also while a test waits and its output is captured."""

    def __init__(self, config: pytest.Config, console: Console) -> None:
        self._config = config
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._silent = self._reporter is None or config.get_verbosity() < -1
        quiet = self._silent or config.get_verbosity() < 0 or bool(os.environ.get("CI"))
        self.is_live = console.is_interactive and not quiet
        self._console = console
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Prints a line that stays; nothing under -qq."""
        if not self._silent:
            with self._uncaptured():
                self._reporter.ensure_newline()
                self._reporter.write_line(text)

    def show(self, text: str) -> None:
        """Shows a line below the one that pytest is writing; an empty one takes it away again."""
        from rich.control import Control
        from rich.live import Live
        from rich.text import Text

        with self._uncaptured():
            if self._live is None and text:
                self._console.line()
                self._live = Live(console=self._console, auto_refresh=False, transient=True)
                self._live.start()
            if self._live is not None and text:
                line = Text(f"cnnbench: {text}", no_wrap=True, overflow="ellipsis")
                self._live.update(line, refresh=True)
            elif self._live is not None:
                self._live.stop()
                self._live = None
                column = self._config.get_terminal_writer().width_of_current_line
                self._console.control(Control.move_to_column(column, -1))

    def _uncaptured(self) -> AbstractContextManager[None]:
        return self._capture.global_and_fixture_disabled() if self._capture else nullcontext()


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Returns how pytest's own lines show an undecided check; `None` leaves it to pytest."""
    if report.when == "call" and ("verdict", "inconclusive") in report.user_properties:
        return "inconclusive", "?", "INCONCLUSIVE"
    return None


@pytest.hookimpl(optionalhook=True, wrapper=True)
def pytest_benchmark_group_stats(config: Any) -> Generator[None, Groups, Groups]:
    """Makes pytest-benchmark's tables of cnnbench's tests narrow; what a user chose stays.

    Its session has read the option for columns before any test is known to be one of cnnbench's.
    """
    groups = yield
    ours = [benchmarks for group, benchmarks in groups if group in GROUPS.values()]
    if ours and not config.getoption("benchmark_columns"):
        config._benchmarksession.columns = ["min", "median", "ops", "rounds"]
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
        # xfail() keeps its reason here; a failure's is its text.
        allowed = getattr(report, "wasxfail", "").removeprefix("reason: ")
        reporter.write_line(f"{report.nodeid}: {allowed or report.longreprtext}")
    reporter.write_sep("=", "cnnbench")
    reporter.write_line(summary_text(running.session.report))
    reporter.write_line(f"report: {shown(running.session.directory)}")


def shown(path: Path) -> Path:
    """Returns a path as short as it can be written here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
