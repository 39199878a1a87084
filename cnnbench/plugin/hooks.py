"""The hooks from the options to the end of a session, in the order in which pytest calls them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.machine.backends import can_run
from cnnbench.plugin import asks
from cnnbench.plugin.asks import GATES, PREFIX, SPOT, WORKLOAD_OF, fixtures_of, options_of
from cnnbench.plugin.running import CLOCK_KEY, RUNNING_KEY, RecordedClock, Running, in_full
from cnnbench.plugin.terminal import GROUPS, Screen, shown
from cnnbench.session.options import MARKER_FIELDS, OPTIONS, Options, options_from

if TYPE_CHECKING:
    from cnnbench.session.session import Session
    from cnnbench.verdicts.gates.jury import Gate

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
        texts = {
            name: config.getoption(option.flag) or str(config.getini(option.ini))
            for name, option in OPTIONS.items()
        }
        config.stash[asks.OPTIONS_KEY] = asks.checked(options_from(texts))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test once for each variant, seed, place and batch size that it asks for."""
    asked = [name for name in ("variant", "seed", *SPOT) if _is_asked(metafunc, PREFIX + name)]
    if not asked:
        return
    options = options_of(metafunc.definition)
    if "variant" in asked:
        names = [variant.name for variant in options.variants]
        metafunc.parametrize("cnnbench_variant", options.variants, ids=names, indirect=True)
    if "seed" in asked:
        metafunc.parametrize("cnnbench_seed", options.seeds, indirect=True)
    parts = [name for name in SPOT if name in asked]
    if parts:
        fixed = [WORKLOAD_OF[one] for one in metafunc.fixturenames if one in WORKLOAD_OF]
        rows = _spots(options, parts, fixed)
        ids = ["-".join(map(str, row)) for row in rows]
        if not rows:
            reason = f"not what {', '.join(options.backend_names())} can do in these dtypes"
            skipped = pytest.mark.skip(reason=f"{reason}: {', '.join(options.dtypes)}")
            rows, ids = [pytest.param(*[None] * len(parts), marks=skipped)], ["nowhere"]
        metafunc.parametrize([PREFIX + part for part in parts], rows, ids=ids, indirect=True)


def _is_asked(metafunc: pytest.Metafunc, name: str) -> bool:
    """Returns whether a test asks for a value that no parameter or fixture of a user states."""
    if name not in metafunc.fixturenames:
        return False
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        if name in (names.replace(" ", "").split(",") if isinstance(names, str) else names):
            return False
    # The last that does not ask for the fixture that it overrides. pytest has no public way to ask.
    definitions = reversed(metafunc._arg2fixturedefs[name])
    source: str = next(one.func.__module__ for one in definitions if name not in one.argnames)
    return source == "cnnbench.plugin.fixtures"


def _spots(options: Options, parts: list[str], fixed: Sequence[str]) -> list[tuple[object, ...]]:
    """Returns the combinations of a test's parts that a backend is made for."""
    rows: dict[tuple[object, ...], None] = {}
    for workload, backend, device, dtype, batch_size in product(
        fixed or ("train", "inference"),
        options.backend_names() if "backend" in parts else [options.training_backend()],
        options.device_names() if "device" in parts else ["cpu"],
        options.dtypes if "dtype" in parts else ["float32"],
        options.batch_sizes,
    ):
        if can_run(backend, workload, device, dtype):
            given = dict(zip(SPOT, (workload, backend, device, dtype, batch_size), strict=True))
            rows[tuple(given[name] for name in parts)] = None
    return list(rows)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives each cnnbench item its clock and puts the items in the order that costs least."""
    ours = [item for item in items if asks.uses_cnnbench(item)]
    without = [item.nodeid for item in ours if "benchmark" not in fixtures_of(item)]
    if without and config.getoption("benchmark_only", False):
        raise pytest.UsageError(
            "--benchmark-only would skip these checks in silence, because they request neither "
            "'benchmark' nor a cnnbench fixture that does. Add the fixture 'benchmark' and use it, "
            "or run without --benchmark-only:\n  " + "\n  ".join(without)
        )
    for item in ours:
        clock = item.stash[CLOCK_KEY] = RecordedClock()
        # Unused on purpose by a check on records that another test has shown already (a second row
        # with the same numbers would only be noise), and by a test whose training failed.
        item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
        group = next((GROUPS[name] for name in fixtures_of(item) if name in GROUPS), None)
        if group is not None:
            given = item.get_closest_marker("benchmark")
            settings = {"group": group, **(given.kwargs if given else {}), "timer": clock.timer}
            item.add_marker(pytest.mark.benchmark(**settings), append=False)
    if ours:
        items.sort(key=_stage)  # stable


def _stage(item: pytest.Item) -> int:
    # Pictures are judged before anything is trained on them, and the machine is idle for
    # measurements when every training has been waited for; gates may add trainings.
    names = set(fixtures_of(item))
    if names & {"cnnbench_held_out", "cnnbench_near_duplicates"}:
        return 0
    if names & {*WORKLOAD_OF, "cnnbench_measured"}:
        return 3
    return 2 if names.intersection(GATES) else 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Opens pictures and workers and starts the trainings that the selected tests need."""
    config = session.config
    selected = [item for item in session.items if item.get_closest_marker("skip") is None]
    ours = list(filter(asks.uses_cnnbench, selected))
    failed_collection = session.testsfailed and not config.option.continue_on_collection_errors
    is_in_xdist = hasattr(config, "workerinput")  # each test says so itself
    if not ours or config.option.collectonly or failed_collection or is_in_xdist:
        return
    from rich.console import Console

    from cnnbench.session.session import Session
    from cnnbench.session.workers.process import JobError

    screen = Screen(config, Console())
    show = screen.show if screen.is_live else None
    bench = Session(config.stash[asks.OPTIONS_KEY], config.rootpath, screen.say, show)
    running = config.stash[RUNNING_KEY] = Running(bench)
    try:
        for item in ours:  # a bad file is reported before pictures are read
            asks.targets_of(item)
        bench.start()
        if not bench.leaks:
            running.gates = asks.Gates(bench, ours)
            _plan(bench, ours, running.gates.gates)
    except (ValueError, OSError, JobError) as error:
        raise pytest.UsageError(in_full(error)) from None


def _plan(bench: Session, ours: Sequence[pytest.Item], gates: Sequence[Gate]) -> None:
    from cnnbench.session.workers.process import WorkerDied

    variants = dict.fromkeys(filter(None, (asks.params_of(one).get("variant") for one in ours)))
    if variants:  # pictures alone need no backend, whose import takes seconds
        # A model that crashes its worker is reported by that model's own tests.
        with suppress(WorkerDied):
            bench.check_models(variants)
    jobs = dict.fromkeys(job for item in ours for job in asks.trainings_of(bench, item))
    bench.plan(jobs)
    rows = dict.fromkeys(row for item in ours for row in asks.measurements_of(bench, item))
    bench.plan_measurements(rows)
    data, options, note = bench.data_set, bench.options, bench.progress.note
    lacks_gpu = options.devices == ("auto",) and options.device_names() == ("cpu",)
    note(
        f"{data.name}: {data.train_pictures} training and {len(data.validation_labels)} held-out "
        f"pictures{'; no GPU found' if lacks_gpu else ''}; report: {shown(bench.directory)}"
    )
    if jobs:
        protocol = options.training_protocol()
        epochs = _counted(protocol.epochs, "epoch")
        note(f"{_counted(len(jobs), 'training')} planned ({protocol.name}, {epochs})")
    if gates:
        seeds = {gate.variant: len(gate.seeds) for gate in gates}
        more = sum(max(0, options.most_seeds() - count) for count in seeds.values())
        added = f"; if undecided, up to {_counted(more, 'more training')}" if more else ""
        alpha = f"chance of any false alarm: at most {options.alpha:.2g}"
        note(f"{_counted(len(gates), 'gate')}; {alpha}{added}")


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends cnnbench's session, and gives undecided and broken checks exit codes of their own."""
    running = session.config.stash.get(RUNNING_KEY, None)
    if running is None:
        return
    running.session.finish()
    only_ours = 0 < session.testsfailed == len(running.reds)
    if only_ours and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
        session.exitstatus = EXIT_ERROR if "error" in running.reds else EXIT_INCONCLUSIVE


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Adds the identity of the session to pytest-benchmark's JSON."""
    running = config.stash.get(RUNNING_KEY, None)
    if running is not None:
        output_json["cnnbench"] = running.session.environment
