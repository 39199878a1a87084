"""The gates of a pytest session: which tests hold one, and the jury that decides them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin.lifecycle import TARGETS_NAME, options_of, params_of, targets_of

if TYPE_CHECKING:
    from cnnbench.models.variants import Variant
    from cnnbench.session.options import Options
    from cnnbench.session.session import Session
    from cnnbench.stats.intervals import Spread
    from cnnbench.verdicts.gates.baselines import Baseline
    from cnnbench.verdicts.gates.evidence import Rule
    from cnnbench.verdicts.gates.jury import Gate, Jury

JURY_KEY = pytest.StashKey["Jury"]()


def jury_of(bench: Session, items: Iterable[pytest.Item]) -> Jury:
    """Returns the jury over the gates of all tests of the session.

    Raises:
        ValueError, OSError: if the baseline is unusable or of something else.
    """
    from cnnbench.verdicts.gates.evidence import Levels
    from cnnbench.verdicts.gates.jury import Jury

    options = bench.options
    params = map(params_of, items := list(items))
    used = [each["cnnbench_variant"] for each in params if "cnnbench_variant" in each]
    variants = {variant.name: variant for variant in used}
    gates = [
        gate
        for item in items
        for name in GATES
        if name in getattr(item, "fixturenames", ())
        and not isinstance(gate := gate_of(bench, item, name), str)
    ]
    return Jury(
        gates,
        Levels(options.alpha, options.beta, options.max_seeds),
        bench.data_set.validation_labels,
        lambda wanted: bench.train_all([(variants[name], seed) for name, seed in wanted]),
        bench.may_train,
        bench.progress.note,
    )


def gate_of(bench: Session, item: pytest.Item | Any, name: str) -> Gate | str:
    """Returns the gate that a test asks for by a fixture's name, or why there is none."""
    from cnnbench.verdicts.gates.jury import Gate

    rule = GATES[name](bench, item)
    if isinstance(rule, str):
        return rule
    return Gate(rule, _variant(item), options_of(item).seeds)


def _variant(item: pytest.Item | Any) -> str:
    return str(params_of(item)["cnnbench_variant"].name)


def _threshold(bench: Session, item: pytest.Item | Any, name: str) -> float | None:
    return targets_of(item).get(name, bench.data_set.name, _variant(item))


def _known(bench: Session, item: pytest.Item | Any, name: str) -> Spread:
    from cnnbench.stats.intervals import Spread

    sd = _threshold(bench, item, f"{name}_sd")
    seeds = _threshold(bench, item, f"{name}_seeds")
    if sd is None and seeds is None:
        return Spread()
    if sd is None or seeds is None or sd <= 0 or seeds < 2:
        raise ValueError(
            f"A spread from earlier runs is stated as {name}_sd, more than 0, with {name}_seeds, "
            f"at least 2, the number of seeds that it was measured with. "
            f"Received: {name}_sd={sd}, {name}_seeds={seeds}"
        )
    return Spread(sd, seeds - 1)


def _accuracy(bench: Session, item: pytest.Item | Any) -> Rule | str:
    from cnnbench.verdicts.gates.rules import AccuracyTarget

    target = _threshold(bench, item, "accuracy")
    if target is None:
        return _no_target(bench, item, "accuracy")
    return AccuracyTarget(target, _known(bench, item, "accuracy"))


def _train_accuracy(bench: Session, item: pytest.Item | Any) -> Rule | str:
    from cnnbench.verdicts.gates.rules import TrainAccuracyTarget

    target = _threshold(bench, item, "train_accuracy")
    if target is None:
        return _no_target(bench, item, "train_accuracy")
    return TrainAccuracyTarget(target, _known(bench, item, "train_accuracy"))


def _no_target(bench: Session, item: pytest.Item | Any, name: str) -> str:
    return (
        f"{TARGETS_NAME} has no {name!r} for the pictures {bench.data_set.name!r} and the variant "
        f"{_variant(item)!r}"
    )


def _accuracy_drop(bench: Session, item: pytest.Item | Any) -> Rule | str:
    from cnnbench.verdicts.gates.rules import AccuracyDrop

    path = options_of(item).baseline
    if path is None:
        return "there is no baseline; give --cnnbench-baseline=FILE, made by `cnnbench baseline`"
    from cnnbench.verdicts.gates.baselines import read_baselines

    baseline = read_baselines(path).get(_variant(item))
    if baseline is None:
        return f"{path} has no baseline of the variant {_variant(item)!r}"
    _refuse_other(bench, params_of(item)["cnnbench_variant"], baseline, str(path))
    _refuse_own_seeds(options_of(item), baseline, str(path))
    return AccuracyDrop(baseline, _threshold(bench, item, "accuracy_drop"))


def _refuse_other(bench: Session, variant: Variant, baseline: Baseline, path: str) -> None:
    """Compares what is known before anything is trained."""
    job = bench.train_job(variant, 0)
    now = {
        "fingerprint": job.variant.fingerprint(),
        "data_hash": bench.data_set.content_hash,
        "protocol": job.protocol.name,
        "epochs": job.protocol.epochs,
        "backend": bench.options.training_backend(),
        "device": bench.training_device(),
    }
    other = [
        f"{name} is {value!r} here and {baseline.identity.get(name)!r} there"
        for name, value in now.items()
        if value != baseline.identity.get(name)
    ]
    if other:
        raise ValueError(
            f"--cnnbench-baseline: {path} was recorded under other conditions: "
            f"{'; '.join(other)}. Make a new one with `cnnbench baseline`, or use the options "
            f"that it was made with. Received: variant={baseline.variant!r}"
        )


def _refuse_own_seeds(options: Options, baseline: Baseline, path: str) -> None:
    """Refuses seeds of the baseline: such runs are no new evidence."""
    from cnnbench.verdicts.gates.jury import usable_seeds

    usable = usable_seeds(options.seeds, options.max_seeds)
    both = sorted(set(usable).intersection(baseline.seeds))
    if both:
        raise ValueError(
            f"--cnnbench-baseline: {path} was made with seeds that this session may train too; "
            "make one of other seeds (default: 1000 to 1019), or use other "
            f"--cnnbench-seeds. Received: seeds={both}"
        )


def _generalization_gap(bench: Session, item: pytest.Item | Any) -> Rule | str:
    from cnnbench.verdicts.gates.rules import GeneralizationGapLimit

    limit = _threshold(bench, item, "generalization_gap")
    assert limit is not None  # it has a default
    return GeneralizationGapLimit(limit, _known(bench, item, "generalization_gap"))


def _validation_loss_rise(bench: Session, item: pytest.Item | Any) -> Rule | str:
    from cnnbench.verdicts.gates.rules import ValidationLossRiseLimit

    limit = _threshold(bench, item, "validation_loss_rise")
    assert limit is not None  # it has a default
    return ValidationLossRiseLimit(limit)


GATES: dict[str, Callable[[Session, pytest.Item | Any], Rule | str]] = {
    "cnnbench_accuracy": _accuracy,
    "cnnbench_accuracy_drop": _accuracy_drop,
    "cnnbench_train_accuracy": _train_accuracy,
    "cnnbench_generalization_gap": _generalization_gap,
    "cnnbench_validation_loss_rise": _validation_loss_rise,
}
