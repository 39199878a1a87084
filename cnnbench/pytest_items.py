"""What the plugin does with test items: parameters, order, clocks and missing fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from cnnbench.options import Options
from cnnbench.pytest_clock import CLOCK, RecordedClock
from cnnbench.pytest_gates import GATES
from cnnbench.pytest_session import options_of

PREFIX = "cnnbench_"
DATA_CHECKS = ("cnnbench_leaks", "cnnbench_near_duplicates")
MEASUREMENTS = ("cnnbench_training_throughput", "cnnbench_inference_throughput")

GROUPS = {
    "cnnbench_leaks": "pictures: seconds to read the data set",
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
    "cnnbench_device": lambda options: options.device_names(),
    "cnnbench_batch_size": lambda options: options.batch_sizes,
}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Runs a test once for each variant, seed, device and batch size that it asks for."""
    wanted = [name for name in _PARAMETERS if name in metafunc.fixturenames]
    if not wanted:
        return
    options = options_of(metafunc.definition)
    for name in wanted:
        values = list(_PARAMETERS[name](options))
        metafunc.parametrize(name, values, ids=[str(value) for value in values], indirect=True)


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
