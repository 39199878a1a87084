"""What a test asks of cnnbench: fixtures, options and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.models.variants import Variant, variant_named
from cnnbench.records.records import Workload
from cnnbench.session.options import OPTIONS, SWEEP, Options

if TYPE_CHECKING:
    from cnnbench.machine.backends import Place
    from cnnbench.session.session import Session
    from cnnbench.session.workers.jobs import Measure, Sanity, Train

PREFIX = "cnnbench_"
OPTIONS_KEY = pytest.StashKey[Options]()
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


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Returns the parameters of a test; a fixture that a user overrides may have none."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return params


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


def variant_of(value: Variant | str) -> Variant:
    """Returns the variant that a fixture gives; a user's own fixture may give its name."""
    return value if isinstance(value, Variant) else variant_named(value)


def planned_variant(item: pytest.Item) -> Variant | None:
    """Returns the variant of a test, if it is known before the test runs."""
    value = params_of(item).get("cnnbench_variant")
    return None if value is None else variant_of(value)


def trainings_of(session: Session, item: pytest.Item) -> list[Train | Sanity]:
    """Returns the trainings that a test needs, if they are known before it runs."""
    names, params, variant = fixtures_of(item), params_of(item), planned_variant(item)
    if variant is None:
        return []
    jobs: list[Train | Sanity] = []
    if "cnnbench_run" in names and "cnnbench_seed" in params:
        jobs.append(session.train_job(variant, params["cnnbench_seed"]))
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

    def job(
        self, session: Session, options: Options, workload: Workload, once: bool = False
    ) -> tuple[Place, Measure]:
        """Returns what is measured and where; `once` is to see whether it runs at all."""
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
    params, fixtures = params_of(item), fixtures_of(item)
    parts = ("variant", "backend", "device", "dtype", "batch_size")
    known = {part: params[PREFIX + part] for part in parts if PREFIX + part in params}
    if len(known) < len(parts) or known["batch_size"] == SWEEP:
        return []
    spot = Spot(**{**known, "variant": variant_of(known["variant"])})
    workloads = [WORKLOAD_OF[name] for name in fixtures if name in WORKLOAD_OF]
    if "cnnbench_workload" in params:
        workloads.append(params["cnnbench_workload"])
    return [spot.job(session, options_of(item), workload) for workload in workloads]
