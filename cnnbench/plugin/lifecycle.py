"""The options, and how a pytest session starts and ends one of cnnbench's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin import items
from cnnbench.plugin.gates import Gates
from cnnbench.plugin.running import RUNNING_KEY, Running, in_full
from cnnbench.plugin.terminal import Screen, shown
from cnnbench.session.options import MARKER_FIELDS, OPTIONS, options_from
from cnnbench.verdicts.targets import Targets, read_targets

if TYPE_CHECKING:
    from cnnbench.session.session import Session

EXIT_INCONCLUSIVE = 10
EXIT_ERROR = 11


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cnnbench", "cnnbench: accuracy and throughput of Keras CNNs")
    for option in OPTIONS.values():
        group.addoption(option.flag, metavar=option.metavar, default=None, help=option.help)
        parser.addini(option.ini, f"default of {option.flag}", type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Parses the options; a bad value is reported before anything is collected."""
    config.addinivalue_line(
        "markers",
        f"cnnbench({', '.join(MARKER_FIELDS)}, accuracy, ...): "
        "this test needs cnnbench's fixtures; the arguments take precedence over the options of "
        "the same names and over the thresholds in targets.toml.",
    )
    try:
        options = options_from({name: items.text_of(config, name) for name in OPTIONS})
        config.stash[items.OPTIONS_KEY] = items.checked(config, options)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    read: Callable[[Path], Targets] = cache(read_targets)
    config.stash[items.READ_TARGETS_KEY] = read


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Opens pictures and workers and starts the trainings that the selected tests need."""
    config = session.config
    ours = [
        item
        for item in session.items
        if items.uses_cnnbench(item) and item.get_closest_marker("skip") is None
    ]
    failed_collection = session.testsfailed and not config.option.continue_on_collection_errors
    if not ours or config.option.collectonly or failed_collection:
        return
    if hasattr(config, "workerinput"):
        return  # under xdist each test says so itself
    from rich.console import Console

    from cnnbench.session.session import Session
    from cnnbench.session.workers.process import JobError

    screen = Screen(config, Console())
    show = screen.show if screen.is_live else None
    bench = Session(config.stash[items.OPTIONS_KEY], config.rootpath, screen.say, show)
    running = config.stash[RUNNING_KEY] = Running(bench)
    try:
        for item in ours:  # a bad file is reported before pictures are read
            items.targets_of(item)
        bench.start()
        if not bench.leaks:
            running.gates = Gates(bench, ours)
            _plan(bench, ours, running.gates)
    except (ValueError, OSError, JobError) as error:
        raise pytest.UsageError(in_full(error)) from None


def _plan(bench: Session, ours: Sequence[pytest.Item], gates: Gates) -> None:
    from cnnbench.session.workers.process import WorkerDied

    params = [items.params_of(item) for item in ours]
    variants = dict.fromkeys(known["variant"] for known in params if "variant" in known)
    if variants:  # pictures alone need no backend, whose import takes seconds
        # A model that crashes its worker is reported by that model's own tests.
        with suppress(WorkerDied):
            bench.check_models(variants)
    jobs = dict.fromkeys(job for item in ours for job in items.trainings_of(bench, item))
    bench.plan(jobs)
    bench.plan_measurements(
        dict.fromkeys(row for item in ours for row in items.measurements_of(bench, item))
    )
    for line in _plan_in_words(bench, gates, len(jobs)):
        bench.progress.note(line)


def _plan_in_words(bench: Session, gates: Gates, trainings: int) -> list[str]:
    data, options = bench.data_set, bench.options
    gpus = options.device_names() if options.devices == ("auto",) else ()
    lines = [
        f"{data.name}: {data.train_pictures} training and {len(data.validation_labels)} held-out "
        f"pictures{'; no GPU found' if gpus == ('cpu',) else ''}; report: {shown(bench.directory)}"
    ]
    if trainings:
        protocol = options.training_protocol()
        lines.append(
            f"{_counted(trainings, 'training')} planned ({protocol.name}, "
            f"{_counted(protocol.epochs, 'epoch')})"
        )
    if gates.gates:
        seeds = {gate.variant: len(gate.seeds) for gate in gates.gates}
        more = sum(max(0, options.max_seeds - count) for count in seeds.values())
        added = f"; if undecided, up to {_counted(more, 'more training')}" if more else ""
        lines.append(
            f"{_counted(len(gates.gates), 'gate')}; chance of any false alarm: at most "
            f"{options.alpha:.2g}{added}"
        )
    return lines


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends cnnbench's session, and gives undecided and broken checks exit codes of their own."""
    running = session.config.stash.get(RUNNING_KEY, None)
    if running is None:
        return
    running.session.finish()
    reds = running.reds
    only_ours = session.exitstatus == pytest.ExitCode.TESTS_FAILED and reds
    if only_ours and session.testsfailed == len(reds):
        session.exitstatus = EXIT_ERROR if "error" in reds else EXIT_INCONCLUSIVE


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Adds the identity of the session to pytest-benchmark's JSON."""
    running = config.stash.get(RUNNING_KEY, None)
    if running is not None:
        output_json["cnnbench"] = running.session.environment
