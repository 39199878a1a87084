"""The gates of a session's tests: the rule of each one, and the jury that decides them all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import pytest

from cnnbench.models.variants import Variant
from cnnbench.plugin.items import (
    GATES,
    PREFIX,
    fixtures_of,
    no_target,
    options_of,
    params_of,
    targets_of,
)
from cnnbench.session.options import Options
from cnnbench.verdicts.gates.baselines import Baseline, read_baselines

if TYPE_CHECKING:
    from cnnbench.session.session import Session
    from cnnbench.verdicts.gates.evidence import Rule
    from cnnbench.verdicts.gates.jury import Gate


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
        for item in items:
            variant = params_of(item).get("variant")
            for fixture in GATES:
                if variant is not None and fixture in fixtures_of(item):
                    variants[variant.name] = variant
                    rule = self._rule(item, variant, fixture.removeprefix(PREFIX))
                    self.asked[item.nodeid, fixture] = (
                        rule
                        if isinstance(rule, str)
                        else Gate(rule, variant.name, options_of(item).seeds)
                    )
        self.gates = [gate for gate in self.asked.values() if isinstance(gate, Gate)]
        self.jury = Jury(
            self.gates,
            Levels(session.options.alpha, session.options.beta, session.options.max_seeds),
            session.data_set.validation_labels,
            lambda wanted: session.train_all([(variants[name], seed) for name, seed in wanted]),
            session.may_train,
            session.progress.note,
        )

    def _rule(self, item: pytest.Item, variant: Variant, check: str) -> Rule | str:
        """Returns the rule of a gate, or why there is none."""
        from cnnbench.stats.intervals import Spread
        from cnnbench.verdicts.gates import rules

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
        seeds = usable_seeds(options.seeds, options.max_seeds)
        if both := set(seeds).intersection(baseline.seeds):
            raise ValueError(
                f"--cnnbench-baseline: {path} was made with seeds that this session may train too, "
                "so its runs are no new evidence; make one of other seeds (default: 1000 to 1019), "
                f"or use other --cnnbench-seeds. Received: seeds={sorted(both)}"
            )
        return baseline
