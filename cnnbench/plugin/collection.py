"""What happens to tests as pytest collects them: parameters, order and clocks."""

from __future__ import annotations

from itertools import product

import pytest

from cnnbench.machine.backends import can_run
from cnnbench.plugin.items import (
    GATES,
    PREFIX,
    SPOT,
    WORKLOAD_OF,
    fixtures_of,
    options_of,
    uses_cnnbench,
)
from cnnbench.plugin.running import CLOCK_KEY, RecordedClock
from cnnbench.records.records import Workload
from cnnbench.session.options import Options

FIXTURES = "cnnbench.plugin.fixtures"
WORKLOADS: tuple[Workload, ...] = ("train", "inference")
GROUPS = {
    "cnnbench_held_out": "pictures: seconds to read the data set",
    "cnnbench_near_duplicates": "pictures: seconds to compare both sides",
    "cnnbench_run": "training: seconds of a run",
    "cnnbench_memorization": "sanity: seconds of a short training",
    "cnnbench_shuffled_labels": "sanity: seconds of a short training",
    "cnnbench_training_throughput": "training: one picture (OPS = pictures/s)",
    "cnnbench_inference_throughput": "inference: one picture (OPS = pictures/s)",
}


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
        fixed = [WORKLOAD_OF[name] for name in metafunc.fixturenames if name in WORKLOAD_OF]
        rows = _spots(options, parts, fixed)
        ids = ["-".join(map(str, row)) for row in rows]
        if not rows:
            reason = f"not what {', '.join(options.backend_names())} can do in these dtypes"
            skipped = pytest.mark.skip(reason=f"{reason}: {', '.join(options.dtypes)}")
            rows = [pytest.param(*[None] * len(parts), marks=skipped)]
            ids = ["nowhere"]
        metafunc.parametrize([PREFIX + part for part in parts], rows, ids=ids, indirect=True)


def _is_asked(metafunc: pytest.Metafunc, name: str) -> bool:
    """Returns whether a test has a fixture whose value no parameter or fixture of the user states.

    pytest has no public way to ask which fixture a test gets.
    """
    if name not in metafunc.fixturenames:
        return False
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        if name in (names.replace(" ", "").split(",") if isinstance(names, str) else names):
            return False
    for definition in reversed(metafunc._arg2fixturedefs.get(name, ())):
        if definition.func.__module__ == FIXTURES:
            return True
        if name not in definition.argnames:  # it does not ask for the fixture that it overrides
            return False
    return True


def _spots(
    options: Options, parts: list[str], workloads: list[Workload]
) -> list[tuple[object, ...]]:
    """Returns the combinations of a test's parts that a backend is made for."""
    rows: dict[tuple[object, ...], None] = {}
    for workload, backend, device, dtype, batch_size in product(
        workloads or WORKLOADS,
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
    """Gives each cnnbench item its clock and puts the items in the order that costs least.

    Raises:
        pytest.UsageError: if `--benchmark-only` would skip one of them in silence.
    """
    ours = [item for item in items if uses_cnnbench(item)]
    without = [item.nodeid for item in ours if "benchmark" not in fixtures_of(item)]
    if without and config.getoption("benchmark_only", False):
        raise pytest.UsageError(
            "--benchmark-only would skip these checks in silence, because they request neither "
            "'benchmark' nor a cnnbench fixture that does. Add the fixture 'benchmark' and use it, "
            "or run without --benchmark-only:\n  " + "\n  ".join(without)
        )
    for item in ours:
        _give_clock(item)
    if ours:
        items.sort(key=_stage)  # stable


def _give_clock(item: pytest.Item) -> None:
    clock = item.stash[CLOCK_KEY] = RecordedClock()
    # Unused on purpose by a check on records that another test has shown already (a second row
    # with the same numbers would only be noise), and by a test whose training failed.
    item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
    group = next((GROUPS[name] for name in fixtures_of(item) if name in GROUPS), None)
    if group is not None:
        given = item.get_closest_marker("benchmark")
        settings = {"group": group, **(given.kwargs if given else {}), "timer": clock.timer}
        item.add_marker(pytest.mark.benchmark(**settings), append=False)


def _stage(item: pytest.Item) -> int:
    # Pictures are judged before anything is trained on them, and the machine is idle for
    # measurements when every training has been waited for; gates may add trainings.
    names = set(fixtures_of(item))
    if names & {"cnnbench_held_out", "cnnbench_near_duplicates"}:
        return 0
    if names & {*WORKLOAD_OF, "cnnbench_measured"}:
        return 3
    return 2 if names.intersection(GATES) else 1
