"""What tests ask of cnnbench, known before they run: trainings, measurements and gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.machine.backends import Place
from cnnbench.machine.environment import usable_cpus
from cnnbench.models.variants import Variant, variant_named
from cnnbench.records.records import Row, Workload
from cnnbench.session.options import SWEEP, Options
from cnnbench.session.workers.jobs import Measure
from cnnbench.verdicts.gates.baselines import Baseline, read_baselines
from cnnbench.verdicts.targets import Targets, read_targets, stated_in

if TYPE_CHECKING:
    from cnnbench.session.session import Session
    from cnnbench.session.workers.jobs import Sanity, Train
    from cnnbench.verdicts.gates.evidence import Rule
    from cnnbench.verdicts.gates.jury import Gate

PREFIX = "cnnbench_"
TARGETS_NAME = "targets.toml"
OPTIONS_KEY = pytest.StashKey[Options]()
TARGETS_KEY = pytest.StashKey[dict[Path, Targets]]()
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


def options_of(node: pytest.Item | Any) -> Options:
    """Returns the options of a test: the session's, with its marker's arguments in place."""
    options = node.config.stash[OPTIONS_KEY]
    marker = node.get_closest_marker("cnnbench")
    try:
        return checked(options.overridden(marker.kwargs)) if marker else options
    except ValueError as error:
        raise pytest.Collector.CollectError(f"{node.nodeid}: {error}") from None


def checked(options: Options) -> Options:
    """Returns options that agree: a stated most of seeds is no less than the seeds asked for."""
    if options.max_seeds is not None and options.max_seeds < len(options.seeds):
        raise ValueError(
            f"--cnnbench-max-seeds: expected at least {len(options.seeds)}, the number of seeds "
            f"asked for. Received: {options.max_seeds}"
        )
    return options


def targets_of(item: pytest.Item) -> Targets:
    """Returns what a test's marker states, and the file that is named or beside the test."""
    beside = item.path.parent / TARGETS_NAME
    path = options_of(item).targets or (beside if beside.is_file() else None)
    known = item.config.stash.setdefault(TARGETS_KEY, {})
    if path and path not in known:
        known[path] = read_targets(path)
    targets = known[path] if path else Targets()
    marker = item.get_closest_marker("cnnbench")
    return replace(targets, stated=stated_in(marker.kwargs)) if marker else targets


def no_target(name: str, data: str, variant: str) -> str:
    """Returns why a test without a threshold is skipped."""
    return f"{TARGETS_NAME} has no {name!r} for the pictures {data!r} and the variant {variant!r}"


def variant_of(value: Variant | str) -> Variant:
    """Returns the variant that a fixture gives; a user's own fixture may give its name."""
    return value if isinstance(value, Variant) else variant_named(value)


def params_of(item: pytest.Item) -> dict[str, Any]:
    """Returns the parameters of a test; a fixture that a user overrides may have none."""
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
        options, seed = options_of(node), session.options.seeds[0]
        if node.config.getoption("benchmark_disable", False):  # to see whether it runs at all
            options = replace(options, rounds=1, warmup_rounds=0)
        batch_size = 0 if self.batch_size == SWEEP else int(self.batch_size)
        row = Row(self.variant.name, workload, self.dtype, batch_size, seed)
        place = Place(self.backend, self.device, options.threads or usable_cpus())
        rounds, warmup_rounds = options.rounds, options.warmup_rounds
        return place, Measure(self.variant, row, session.manifest, rounds, warmup_rounds)


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


class Gates:
    """All gates of a session, which share its error rate, and the jury that decides them.

    `asked` has a test's gate, or why there is none, by the test's id and the name of the fixture. A
    gate whose variant is not known before its test runs is not among them.
    """

    def __init__(self, session: Session, items: Sequence[pytest.Item]) -> None:
        from cnnbench.verdicts.gates.evidence import Levels
        from cnnbench.verdicts.gates.jury import Gate, Jury

        self._session, self._baselines = session, cache(read_baselines)
        self.asked: dict[tuple[str, str], Gate | str] = {}
        variants: dict[str, Variant] = {}
        for item, fixture in product(items, GATES):
            variant = params_of(item).get("variant")
            if variant is not None and fixture in fixtures_of(item):
                variants[variant.name] = variant
                rule, seeds = self._rule(item, variant, fixture), options_of(item).seeds
                gate = rule if isinstance(rule, str) else Gate(rule, variant.name, seeds)
                self.asked[item.nodeid, fixture] = gate
        self.gates = [gate for gate in self.asked.values() if isinstance(gate, Gate)]
        self.jury = Jury(
            self.gates,
            Levels(session.options.alpha, session.options.beta, session.options.most_seeds()),
            session.data_set.validation_labels,
            lambda wanted: session.train_all([(variants[name], seed) for name, seed in wanted]),
            session.may_train,
            session.progress.note,
        )

    def _rule(self, item: pytest.Item, variant: Variant, fixture: str) -> Rule | str:
        """Returns the rule of a gate, or why there is none."""
        from cnnbench.stats.intervals import Spread
        from cnnbench.verdicts.gates import rules

        check = fixture.removeprefix(PREFIX)
        data, targets = self._session.data_set.name, targets_of(item)
        threshold, sd, seeds = (
            targets.get(name, data, variant.name)
            for name in (check, f"{check}_sd", f"{check}_seeds")
        )
        if check == "accuracy_drop":
            found = self._baseline(options_of(item), variant)
            return found if isinstance(found, str) else rules.AccuracyDrop(found, threshold)
        if threshold is None:
            return no_target(check, data, variant.name)
        if check == "validation_loss_rise":
            return rules.ValidationLossRiseLimit(threshold)
        known = Spread()
        if sd is not None or seeds is not None:
            if sd is None or seeds is None or sd <= 0 or seeds < 2:
                raise ValueError(
                    f"A spread from earlier runs is stated as {check}_sd, more than 0, with "
                    f"{check}_seeds, at least 2, the number of seeds that it was measured with. "
                    f"Received: {check}_sd={sd}, {check}_seeds={seeds}"
                )
            known = Spread(sd, seeds - 1)
        if check == "accuracy":
            return rules.AccuracyTarget(threshold, known)
        if check == "train_accuracy":
            return rules.TrainAccuracyTarget(threshold, known)
        return rules.GeneralizationGapLimit(threshold, known)

    def _baseline(self, options: Options, variant: Variant) -> Baseline | str:
        """Returns a variant's baseline, if it is of what this session trains under other seeds."""
        from cnnbench.verdicts.gates.jury import usable_seeds

        path = options.baseline
        if path is None:
            return "there is no baseline; give --cnnbench-baseline=FILE (see `cnnbench baseline`)"
        baseline = self._baselines(path).get(variant.name)
        if baseline is None:
            return f"{path} has no baseline of the variant {variant.name!r}"
        protocol = options.training_protocol()
        now = {
            "fingerprint": variant.fingerprint(),
            "data_hash": self._session.data_set.content_hash,
            "protocol": protocol.name,
            "epochs": protocol.epochs,
            "backend": options.training_backend(),
            "device": self._session.training_device(),
        }
        if other := baseline.differences(now):
            raise ValueError(
                f"--cnnbench-baseline: {path} was recorded under other conditions: "
                f"{'; '.join(other)}. Make a new one with `cnnbench baseline`, or use the options "
                f"that it was made with. Received: variant={variant.name!r}"
            )
        seeds = usable_seeds(options.seeds, options.most_seeds())
        if both := set(seeds).intersection(baseline.seeds):
            raise ValueError(
                f"--cnnbench-baseline: {path} was made with seeds that this session may train too, "
                "so its runs are no new evidence; make one of other seeds (default: 1000 to 1019), "
                f"or use other --cnnbench-seeds. Received: seeds={sorted(both)}"
            )
        return baseline
