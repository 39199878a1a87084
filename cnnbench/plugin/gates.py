"""The gates of a session's tests: the rule of each one, and the jury that decides them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cnnbench.plugin.items import GATES, PREFIX, fixtures_of, options_of, planned_variant
from cnnbench.verdicts.targets import Targets, stated_in

if TYPE_CHECKING:
    from cnnbench.models.variants import Variant
    from cnnbench.session.options import Options
    from cnnbench.session.session import Session
    from cnnbench.verdicts.gates.baselines import Baseline
    from cnnbench.verdicts.gates.evidence import Rule
    from cnnbench.verdicts.gates.jury import Gate

TARGETS_NAME = "targets.toml"
ReadTargets = Callable[[Path], Targets]


def targets_of(item: pytest.Item, read: ReadTargets) -> Targets:
    """Returns what a test's marker states, and the file that is named or beside the test."""
    beside = item.path.parent / TARGETS_NAME
    path = options_of(item).targets or (beside if beside.is_file() else None)
    targets = read(path) if path else Targets()
    marker = item.get_closest_marker("cnnbench")
    return replace(targets, stated=stated_in(marker.kwargs)) if marker else targets


def no_target(name: str, data: str, variant: str) -> str:
    """Returns why a test without a threshold is skipped."""
    return f"{TARGETS_NAME} has no {name!r} for the pictures {data!r} and the variant {variant!r}"


class Gates:
    """All gates of a session, which share its error rate, and the jury that decides them.

    `asked` has a test's gate, or why there is none, by the test's id and the name of the fixture. A
    gate whose variant is not known before its test runs is not among them.
    """

    def __init__(self, session: Session, items: Sequence[pytest.Item], read: ReadTargets) -> None:
        from cnnbench.verdicts.gates.baselines import read_baselines
        from cnnbench.verdicts.gates.evidence import Levels
        from cnnbench.verdicts.gates.jury import Gate, Jury

        self._session, self._baselines = session, cache(read_baselines)
        self.asked: dict[tuple[str, str], Gate | str] = {}
        variants = {}
        for item in items:
            variant = planned_variant(item)
            for fixture in GATES if variant else ():
                if variant and fixture in fixtures_of(item):
                    variants[variant.name] = variant
                    options, targets = options_of(item), targets_of(item, read)
                    rule = self._rule(options, targets, variant, fixture.removeprefix(PREFIX))
                    gate = (
                        Gate(rule, variant.name, options.seeds)
                        if not isinstance(rule, str)
                        else rule
                    )
                    self.asked[item.nodeid, fixture] = gate
        self.gates = [gate for gate in self.asked.values() if isinstance(gate, Gate)]
        self.jury = Jury(
            self.gates,
            Levels(session.options.alpha, session.options.beta, session.options.max_seeds),
            session.data_set.validation_labels,
            lambda wanted: session.train_all([(variants[name], seed) for name, seed in wanted]),
            session.may_train,
            session.progress.note,
        )

    def _rule(self, options: Options, targets: Targets, variant: Variant, check: str) -> Rule | str:
        from cnnbench.stats.intervals import Spread
        from cnnbench.verdicts.gates import rules

        data = self._session.data_set.name
        threshold, sd, seeds = (
            targets.get(name, data, variant.name)
            for name in (check, f"{check}_sd", f"{check}_seeds")
        )
        if check == "accuracy_drop":
            found = self._baseline(options, variant)
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
        other = baseline.differences(now)
        if other:
            raise ValueError(
                f"--cnnbench-baseline: {path} was recorded under other conditions: "
                f"{'; '.join(other)}. Make a new one with `cnnbench baseline`, or use the options "
                f"that it was made with. Received: variant={variant.name!r}"
            )
        both = set(usable_seeds(options.seeds, options.max_seeds)).intersection(baseline.seeds)
        if both:
            raise ValueError(
                f"--cnnbench-baseline: {path} was made with seeds that this session may train too, "
                "so its runs are no new evidence; make one of other seeds (default: 1000 to 1019), "
                f"or use other --cnnbench-seeds. Received: seeds={sorted(both)}"
            )
        return baseline
