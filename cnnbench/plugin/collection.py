"""What the plugin does with test items: parameters, order, clocks and missing fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import pytest

from cnnbench.machine.backends import can_run
from cnnbench.plugin.clock import CLOCK, RecordedClock
from cnnbench.plugin.gates import GATES
from cnnbench.plugin.lifecycle import options_of
from cnnbench.records.measurements import Workload
from cnnbench.session.options import Options

PREFIX = "cnnbench_"
DATA_CHECKS = ("cnnbench_held_out", "cnnbench_near_duplicates")
WORKLOADS: tuple[Workload, ...] = ("train", "inference")
WORKLOAD_OF: dict[str, Workload] = {
    "cnnbench_training_throughput": "train",
    "cnnbench_inference_throughput": "inference",
}
MEASUREMENTS = (*WORKLOAD_OF, "cnnbench_measured")

GROUPS = {
    "cnnbench_held_out": "pictures: seconds to read the data set",
    "cnnbench_near_duplicates": "pictures: seconds to compare both sides",
    "cnnbench_run": "training: seconds of a run",
    "cnnbench_memorization": "sanity: seconds of a short training",
    "cnnbench_shuffled_labels": "sanity: seconds of a short training",
    "cnnbench_training_throughput": "training: one picture (OPS = pictures/s)",
    "cnnbench_inference_throughput": "inference: one picture (OPS = pictures/s)",
}

_PARAMETERS: dict[str, Callable[[Options], Iterable[object]]] = {
    "cnnbench_variant": lambda options: options.variants,
    "cnnbench_seed": lambda options: options.seeds,
    "cnnbench_workload": lambda options: WORKLOADS,
}
# One parameter of several parts: not every backend does everything, and what it is not made for
# is no test.
_SPOT: dict[str, Callable[[Options], Iterable[object]]] = {
    "cnnbench_workload": lambda options: WORKLOADS,
    "cnnbench_backend": lambda options: options.backend_names(),
    "cnnbench_device": lambda options: options.device_names(),
    "cnnbench_dtype": lambda options: options.dtypes,
    "cnnbench_batch_size": lambda options: options.batch_sizes,
}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Runs a test once for each variant, seed, place and batch size that it asks for."""
    names = metafunc.fixturenames
    options: Options | None = None
    parts = [name for name in _SPOT if name in names]
    singles = [name for name in _PARAMETERS if name in names and name not in parts]
    if parts or singles:
        options = options_of(metafunc.definition)
    for name in singles:
        assert options is not None
        values = list(_PARAMETERS[name](options))
        metafunc.parametrize(
            name,
            values,
            ids=[getattr(value, "name", str(value)) for value in values],
            indirect=True,
        )
    if parts:
        assert options is not None
        fixed = [WORKLOAD_OF[name] for name in names if name in WORKLOAD_OF]
        rows = list(_spots(options, parts, fixed))
        ids = ["-".join(map(str, row)) for row in rows]
        metafunc.parametrize(parts, rows, ids=ids, indirect=True)


def _spots(
    options: Options, parts: list[str], fixed: list[Workload]
) -> Iterator[tuple[object, ...]]:
    """Yields the combinations of a test's parts that there can be."""
    seen = set()
    choices = [(_SPOT[name](options) if name in parts else (None,)) for name in _SPOT]
    for combination in product(*choices):
        given = dict(zip(_SPOT, combination, strict=True))
        asked = given["cnnbench_workload"]
        possible = any(
            can_run(
                str(given["cnnbench_backend"] or options.training_backend()),
                str(workload),
                str(given["cnnbench_device"] or "cpu"),
                str(given["cnnbench_dtype"] or "float32"),
            )
            for workload in (fixed or WORKLOADS if asked is None else (asked,))
        )
        row = tuple(given[name] for name in parts)
        if possible and row not in seen:
            seen.add(row)
            yield row


def uses_cnnbench(item: pytest.Item) -> bool:
    """Returns whether an item belongs to cnnbench, by a fixture or by its marker."""
    names = getattr(item, "fixturenames", ())
    marked = item.get_closest_marker("cnnbench") is not None
    return marked or any(name.startswith(PREFIX) for name in names)


def prepare(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives each cnnbench item its clock and puts the items in the order that costs least.

    Raises:
        pytest.UsageError: if `--benchmark-only` would skip one of them in silence.
    """
    ours = [item for item in items if uses_cnnbench(item)]
    if not ours:
        return
    _refuse_silent_skips(config, ours)
    for item in ours:
        _give_clock(item)
    # Pictures are judged before anything is trained on them, and the machine is idle for
    # measurements when every training has been waited for; gates may add trainings. The sort is
    # stable.
    items.sort(key=_stage)


def _refuse_silent_skips(config: pytest.Config, ours: list[pytest.Item]) -> None:
    if not config.getoption("benchmark_only", False):
        return
    without = [item.nodeid for item in ours if "benchmark" not in getattr(item, "fixturenames", ())]
    if without:
        raise pytest.UsageError(
            "--benchmark-only would skip these checks in silence, because they request neither "
            "'benchmark' nor a cnnbench fixture that does. Add the fixture 'benchmark' and use it, "
            "or run without --benchmark-only:\n  " + "\n  ".join(without)
        )


def _give_clock(item: pytest.Item) -> None:
    clock = RecordedClock()
    item.stash[CLOCK] = clock
    names = getattr(item, "fixturenames", ())
    group = next((GROUPS[name] for name in names if name in GROUPS), None)
    # Unused on purpose by a check on records that another test has shown already (a second row
    # with the same numbers would only be noise), and by a test whose training failed.
    item.add_marker(pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"))
    if group is None:
        return
    given = item.get_closest_marker("benchmark")
    settings = {"group": group, **(given.kwargs if given else {}), "timer": clock.timer}
    item.add_marker(pytest.mark.benchmark(**settings), append=False)


def _stage(item: pytest.Item) -> int:
    names = getattr(item, "fixturenames", ())
    if any(name in names for name in DATA_CHECKS):
        return 0
    if any(name in names for name in MEASUREMENTS):
        return 3
    return 2 if any(name in names for name in GATES) else 1
