"""How a pytest session starts and ends one of cnnbench's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.session.options import OPTIONS, Options, options_from

if TYPE_CHECKING:
    from cnnbench.session.session import Session
    from cnnbench.session.workers.jobs import Sanity, Train
    from cnnbench.verdicts.targets import Targets

TARGETS_NAME = "targets.toml"
OPTIONS_KEY = pytest.StashKey[Options]()
SESSION_KEY = pytest.StashKey["Session"]()
# A verdict for each failed test that was undecided or could not be judged.
REDS_KEY = pytest.StashKey[list[str]]()
EXIT_INCONCLUSIVE = 10
EXIT_ERROR = 11


def configure(config: pytest.Config) -> None:
    """Parses the options; a bad value is reported before anything is collected."""
    texts = {
        name: config.getoption(option.flag) or config.getini(option.ini)
        for name, option in OPTIONS.items()
    }
    try:
        options = config.stash[OPTIONS_KEY] = options_from(texts)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if options.data is not None and not options.data.is_dir():
        raise pytest.UsageError(
            "--cnnbench-data: no such folder; expected one with a folder of pictures per class. "
            f"Received: {str(options.data)!r}"
        )


def options_of(node: pytest.Item | Any) -> Options:
    """Returns the options of a test: the session's, with its marker's arguments in place."""
    options = node.config.stash[OPTIONS_KEY]
    marker = node.get_closest_marker("cnnbench")
    if marker is None:
        return options
    try:
        return options.overridden(marker.kwargs)
    except ValueError as error:
        raise pytest.Collector.CollectError(f"{node.nodeid}: {error}") from None


def params_of(item: pytest.Item | Any) -> dict[str, Any]:
    """Returns the parameters of a test; none for a test that has none."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return params


def targets_of(item: pytest.Item | Any) -> Targets:
    """Returns the targets of a test: the file that the options name, or the one beside the test.

    What its marker states comes before them.

    Raises:
        ValueError, OSError: if the file is unusable.
    """
    from cnnbench.verdicts.targets import Targets, read_targets, stated_in

    beside = item.path.parent / TARGETS_NAME
    path = options_of(item).targets or (beside if beside.is_file() else None)
    targets = read_targets(path) if path else Targets()
    marker = item.get_closest_marker("cnnbench")
    return replace(targets, stated=stated_in(marker.kwargs)) if marker else targets


def start(session: pytest.Session) -> None:
    """Opens pictures and workers and starts the trainings that the selected tests need."""
    from cnnbench.plugin.collection import uses_cnnbench

    config = session.config
    ours = [item for item in session.items if uses_cnnbench(item) and _will_run(item)]
    failed_collection = session.testsfailed and not config.option.continue_on_collection_errors
    if not ours or config.option.collectonly or failed_collection:
        return
    if hasattr(config, "workerinput"):
        return  # under xdist each test says so itself
    from cnnbench.plugin.gates import JURY_KEY, jury_of
    from cnnbench.session.session import Session
    from cnnbench.session.workers.process import JobError

    bench = Session(config.stash[OPTIONS_KEY], config.rootpath, _printer(config))
    config.stash[SESSION_KEY] = bench
    config.stash[REDS_KEY] = []
    try:
        for item in ours:
            targets_of(item)  # a bad file is reported now, not after minutes of training
        bench.start()
        if not bench.leaks:
            config.stash[JURY_KEY] = jury_of(bench, ours)
            _plan(bench, ours)
    except (ValueError, OSError) as error:
        raise pytest.UsageError(str(error)) from None
    except JobError as error:
        raise pytest.UsageError(f"{error}\n{error.details}".strip()) from None


def _will_run(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is None


def _plan(bench: Session, ours: list[pytest.Item]) -> None:
    from cnnbench.plugin.speed_fixtures import wanted_of
    from cnnbench.session.workers.process import WorkerDied

    variants = dict.fromkeys(
        params_of(item)["cnnbench_variant"]
        for item in ours
        if "cnnbench_variant" in params_of(item)
    )
    if variants:  # pictures alone need no backend, whose import takes seconds
        # A model that crashes its worker is reported by that model's own tests.
        with suppress(WorkerDied):
            bench.check_models(variants)
    jobs = list(dict.fromkeys(job for item in ours for job in _jobs_of(bench, item)))
    bench.plan(jobs)
    bench.plan_measurements(dict.fromkeys(row for item in ours for row in wanted_of(bench, item)))
    data, protocol = bench.data_set, bench.options.training_protocol()
    gates = [item for item in ours if _gates_of(item)]
    more = sum(
        bench.options.max_seeds - len(seeds)
        for seeds in {
            params_of(item)["cnnbench_variant"]: options_of(item).seeds for item in gates
        }.values()
        if len(seeds) < bench.options.max_seeds
    )
    most = f"; undecided gates may add {more}" if more else ""
    if gates:
        rate = f"{bench.options.alpha:.2g}"
        most += f"; chance that any of {len(gates)} gates fails though all is well: at most {rate}"
    bench.progress.note(
        f"{data.name}: {data.train_pictures} training and {len(data.validation_labels)} held-out "
        f"pictures; {len(jobs)} trainings planned ({protocol.name}, {protocol.epochs} "
        f"epochs){most}; report: {bench.directory}"
    )


def _jobs_of(bench: Session, item: pytest.Item) -> list[Train | Sanity]:
    names = getattr(item, "fixturenames", ())
    params = params_of(item)
    if "cnnbench_variant" not in params:
        return []
    variant = params["cnnbench_variant"]
    jobs: list[Train | Sanity] = []
    if "cnnbench_run" in names:
        jobs.append(bench.train_job(variant, params["cnnbench_seed"]))
    if "cnnbench_runs" in names or _gates_of(item):
        jobs += [bench.train_job(variant, seed) for seed in options_of(item).seeds]
    if "cnnbench_memorization" in names:
        jobs.append(bench.sanity_job("memorization", variant))
    if "cnnbench_shuffled_labels" in names:
        jobs.append(bench.sanity_job("shuffled_labels", variant))
    return jobs


def _gates_of(item: pytest.Item) -> list[str]:
    from cnnbench.plugin.gates import GATES

    return [name for name in GATES if name in getattr(item, "fixturenames", ())]


def _printer(config: pytest.Config) -> Callable[[str], None]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        if reporter is None or config.get_verbosity() < 0:
            return
        if capture is None:
            reporter.ensure_newline()
            reporter.write_line(text)
            return
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(text)

    return say


def finish(session: pytest.Session) -> None:
    """Ends cnnbench's session, and gives undecided and broken checks exit codes of their own."""
    bench = session.config.stash.get(SESSION_KEY, None)
    if bench is None:
        return
    bench.finish()
    reds = session.config.stash[REDS_KEY]
    only_ours = session.exitstatus == pytest.ExitCode.TESTS_FAILED and reds
    if only_ours and session.testsfailed == len(reds):
        session.exitstatus = EXIT_ERROR if "error" in reds else EXIT_INCONCLUSIVE


def status_of(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Returns how pytest's own lines show an undecided check; `None` leaves it to pytest."""
    if report.when == "call" and ("verdict", "inconclusive") in report.user_properties:
        return "inconclusive", "?", "INCONCLUSIVE"
    return None


def summarize(reporter: pytest.TerminalReporter) -> None:
    bench = reporter.config.stash.get(SESSION_KEY, None)
    if bench is None or bench.report is None:
        return
    from cnnbench.report.summary import summary_text

    undecided = reporter.stats.get("inconclusive", [])
    if undecided:
        reporter.write_sep("=", "INCONCLUSIVE")
    for report in undecided:
        reporter.write_line(f"{report.nodeid}: {_reason(report)}")
    reporter.write_sep("=", "cnnbench")
    reporter.write_line(summary_text(bench.report))
    reporter.write_line(f"report: {bench.directory}")


def _reason(report: pytest.TestReport) -> str:
    # xfail() keeps its reason here; a failure's is its text.
    allowed: str = getattr(report, "wasxfail", "")
    return allowed.removeprefix("reason: ") or report.longreprtext


def add_identity(config: pytest.Config, output: dict[str, Any]) -> None:
    bench = config.stash.get(SESSION_KEY, None)
    if bench is not None:
        output["cnnbench"] = bench.environment
