"""What a test asks of cnnbench: fixtures, options, thresholds and parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.models.variants import Variant, variant_named
from cnnbench.records.records import Workload
from cnnbench.session.options import OPTIONS, SWEEP, Options
from cnnbench.verdicts.targets import Targets, stated_in

if TYPE_CHECKING:
    from cnnbench.machine.backends import Place
    from cnnbench.session.session import Session
    from cnnbench.session.workers.jobs import Measure, Sanity, Train

PREFIX = "cnnbench_"
TARGETS_NAME = "targets.toml"
OPTIONS_KEY = pytest.StashKey[Options]()
READ_TARGETS_KEY = pytest.StashKey[Callable[[Path], Targets]]()
# The parts of what is measured. A backend can't do everything, so they are one parameter.
SPOT = ("workload", "backend", "device", "dtype", "batch_size")
WORKLOAD_OF: dict[str, Workload] = {
    "cnnbench_training_throughput": "train",
    "cnnbench_inference_throughput": "inference",
}
GATES = (
    "cnnbench_accuracy",
    "cnnbench_accuracy_drop",
    "cnnbench_train_accuracy",
    "cnnbench_generalization_gap",
    "cnnbench_validation_loss_rise",
)


def fixtures_of(item: pytest.Item) -> tuple[str, ...]:
    """Returns the names of all fixtures that a test requests, directly or not."""
    return tuple(getattr(item, "fixturenames", ()))


def uses_cnnbench(item: pytest.Item) -> bool:
    """Returns whether a test belongs to cnnbench, by a fixture or by its marker."""
    marked = item.get_closest_marker("cnnbench") is not None
    return marked or any(name.startswith(PREFIX) for name in fixtures_of(item))


def text_of(config: pytest.Config, name: str) -> str:
    """Returns the text of an option on the command line or in the ini file, empty for none."""
    return config.getoption(OPTIONS[name].flag) or str(config.getini(OPTIONS[name].ini))


def options_of(node: pytest.Item | Any) -> Options:
    """Returns the options of a test: the session's, with its marker's arguments in place."""
    options = node.config.stash[OPTIONS_KEY]
    marker = node.get_closest_marker("cnnbench")
    try:
        return checked(node.config, options.overridden(marker.kwargs)) if marker else options
    except ValueError as error:
        raise pytest.Collector.CollectError(f"{node.nodeid}: {error}") from None


def checked(config: pytest.Config, options: Options) -> Options:
    """Returns options that agree: the most seeds, if stated, are at least those asked for."""
    stated = text_of(config, "max_seeds")
    if stated and options.max_seeds < len(options.seeds):
        raise ValueError(
            f"--cnnbench-max-seeds: expected at least {len(options.seeds)}, the number of seeds "
            f"asked for. Received: {stated!r}"
        )
    return options


def targets_of(item: pytest.Item) -> Targets:
    """Returns what a test's marker states, and the file that is named or beside the test."""
    beside = item.path.parent / TARGETS_NAME
    path = options_of(item).targets or (beside if beside.is_file() else None)
    targets = item.config.stash[READ_TARGETS_KEY](path) if path else Targets()
    marker = item.get_closest_marker("cnnbench")
    return replace(targets, stated=stated_in(marker.kwargs)) if marker else targets


def no_target(name: str, data: str, variant: str) -> str:
    """Returns why a test without a threshold is skipped."""
    return f"{TARGETS_NAME} has no {name!r} for the pictures {data!r} and the variant {variant!r}"


def variant_of(value: Variant | str) -> Variant:
    """Returns the variant that a fixture gives; a user's own fixture may give its name."""
    return value if isinstance(value, Variant) else variant_named(value)


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Returns the parameters of a test without their prefix, as far as they are known before it
    runs: a fixture that a user overrides may have none.
    """
    params = getattr(getattr(item, "callspec", None), "params", {})
    found = {name.removeprefix(PREFIX): params[name] for name in params if name.startswith(PREFIX)}
    if "variant" in found:
        found["variant"] = variant_of(found["variant"])
    return found


def trainings_of(session: Session, item: pytest.Item) -> list[Train | Sanity]:
    """Returns the trainings that a test needs, if they are known before it runs."""
    names, params = fixtures_of(item), params_of(item)
    if "variant" not in params:
        return []
    variant: Variant = params["variant"]
    jobs: list[Train | Sanity] = []
    if "cnnbench_run" in names and "seed" in params:
        jobs.append(session.train_job(variant, params["seed"]))
    if "cnnbench_runs" in names or any(name in names for name in GATES):
        jobs += [session.train_job(variant, seed) for seed in options_of(item).seeds]
    if "cnnbench_memorization" in names:
        jobs.append(session.sanity_job("memorization", variant))
    if "cnnbench_shuffled_labels" in names:
        jobs.append(session.sanity_job("shuffled_labels", variant))
    return jobs


@dataclass(frozen=True)
class Spot:
    """Where and how a test measures a variant."""

    variant: Variant
    backend: str
    device: str
    dtype: str
    batch_size: int | str

    def job(self, session: Session, node: pytest.Item, workload: Workload) -> tuple[Place, Measure]:
        """Returns what is measured and where."""
        options = options_of(node)
        once = node.config.getoption("benchmark_disable", False)  # to see whether it runs at all
        job = session.measure_job(
            variant=self.variant,
            workload=workload,
            dtype=self.dtype,
            batch_size=0 if self.batch_size == SWEEP else int(self.batch_size),
            rounds=1 if once else options.rounds,
            warmup_rounds=0 if once else options.warmup_rounds,
        )
        return session.measuring_place(self.backend, self.device), job


def measurements_of(session: Session, item: pytest.Item) -> list[tuple[Place, Measure]]:
    """Returns what a test measures, if it is known before it runs and no sweep."""
    params = params_of(item)
    names = [one.name for one in fields(Spot)]
    if any(name not in params for name in names) or params["batch_size"] == SWEEP:
        return []
    spot = Spot(**{name: params[name] for name in names})
    workloads = [WORKLOAD_OF[name] for name in fixtures_of(item) if name in WORKLOAD_OF]
    if "workload" in params:
        workloads.append(params["workload"])
    return [spot.job(session, item, workload) for workload in workloads]
