"""Which gate a test asks for, as far as targets and options say it; the rest needs a session."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from factories import data_set, training_run

from cnnbench.models.variants import VARIANTS
from cnnbench.plugin.gates import gate_of
from cnnbench.plugin.lifecycle import OPTIONS_KEY
from cnnbench.session.options import Options
from cnnbench.stats.intervals import UNKNOWN, Spread
from cnnbench.training.protocols import Protocol
from cnnbench.verdicts.gates.baselines import Baseline, identity_of, write_baselines
from cnnbench.verdicts.gates.rules import (
    AccuracyTarget,
    GeneralizationGapLimit,
    ValidationLossRiseLimit,
)

JOB = SimpleNamespace(
    variant=SimpleNamespace(fingerprint=lambda: "f00d"), protocol=Protocol("one-pass", epochs=2)
)
BENCH = SimpleNamespace(
    data_set=data_set(),
    options=Options(),
    train_job=lambda variant, seed: JOB,
    training_device=lambda: "cpu",
)


@pytest.fixture
def asked(tmp_path):
    """Returns the gate of a test beside which this targets file stands."""

    def ask(name: str, targets: str = "", options: Options | None = None, **marker: object):
        (tmp_path / "targets.toml").write_text(targets)
        item = SimpleNamespace(
            config=SimpleNamespace(stash={OPTIONS_KEY: options or Options()}),
            nodeid="test_own.py::test_own",
            path=tmp_path / "test_own.py",
            callspec=SimpleNamespace(params={"cnnbench_variant": VARIANTS["wide"]}),
            get_closest_marker=lambda _: SimpleNamespace(kwargs=marker) if marker else None,
        )
        return gate_of(BENCH, item, f"cnnbench_{name}")

    return ask


def test_a_gate_has_the_rule_the_variant_and_the_seeds(asked):
    gate = asked("accuracy", "[pets]\naccuracy = 0.7\n", Options(seeds=(4, 5)))
    assert (gate.rule, gate.variant, gate.seeds) == (AccuracyTarget(0.7), "wide", (4, 5))
    assert gate.title() == "accuracy of wide"


def test_limits_have_defaults(asked):
    assert asked("generalization_gap").rule == GeneralizationGapLimit(0.10, UNKNOWN)
    assert asked("validation_loss_rise").rule == ValidationLossRiseLimit(0.30)


def test_a_marker_goes_before_the_file(asked):
    gate = asked("accuracy", "[pets]\naccuracy = 0.7\n", accuracy=0.9, seeds=[7])
    assert (gate.rule, gate.seeds) == (AccuracyTarget(0.9), (7,))


def test_without_a_target_or_a_baseline_there_is_a_reason(asked):
    assert asked("accuracy").startswith(
        "targets.toml has no 'accuracy' for the pictures 'pets' and the variant 'wide'"
    )
    assert asked("accuracy_drop").startswith("there is no baseline; give --cnnbench-baseline=FILE")


@pytest.mark.parametrize("name", ["accuracy", "generalization_gap"])
def test_a_known_spread_has_the_degrees_of_freedom_of_its_seeds(asked, name):
    targets = f"[pets]\naccuracy = 0.7\n{name}_sd = 0.02\n{name}_seeds = 20\n"
    assert asked(name, targets).rule.known == Spread(0.02, 19)


@pytest.mark.parametrize(
    ("targets", "received"),
    [
        ("accuracy_sd = 0.02", "accuracy_sd=0.02, accuracy_seeds=None"),
        ("accuracy_seeds = 20", "accuracy_sd=None, accuracy_seeds=20.0"),
        ("accuracy_sd = 0\naccuracy_seeds = 20", "accuracy_sd=0.0, accuracy_seeds=20.0"),
        ("accuracy_sd = 0.02\naccuracy_seeds = 1", "accuracy_sd=0.02, accuracy_seeds=1.0"),
    ],
)
def test_a_spread_without_its_seeds_is_told(asked, targets, received):
    message = f"stated as accuracy_sd, more than 0, with accuracy_seeds, .* Received: {received}"
    with pytest.raises(ValueError, match=message):
        asked("accuracy", f"[pets]\naccuracy = 0.7\n{targets}\n")


# Seeds of a baseline


@pytest.fixture
def against(asked, tmp_path):
    """Returns the gate against a baseline of these seeds."""

    def ask(stored: tuple[int, ...], **options: object):
        path = tmp_path / "baseline.json"
        accuracies = tuple(0.9 for _ in stored)
        write_baselines(
            path, [Baseline("wide", identity_of(training_run()), stored, accuracies)], {}
        )
        return asked("accuracy_drop", options=Options(baseline=path, **options))

    return ask


# A session uses the seeds that it was given and as many after the largest as there may be in all.
@pytest.mark.parametrize(
    ("seeds", "max_seeds", "stored"),
    [
        ((0, 1, 2), 8, (8, 9)),
        ((0, 1, 2), 3, (3, 4)),
        ((0, 1, 2), 2, (3, 4)),
        ((0, 5), 3, (1, 2, 3, 4, 7)),
        ((5, 0), 3, (1, 2, 3, 4, 7)),
        ((9,), 1, (8, 10)),
        ((0, 1, 2), 8, tuple(range(1000, 1020))),
    ],
)
def test_seeds_that_can_not_be_used_may_stand_in_the_baseline(against, seeds, max_seeds, stored):
    gate = against(stored, seeds=seeds, max_seeds=max_seeds)
    assert (gate.rule.baseline.seeds, gate.seeds) == (stored, seeds)


@pytest.mark.parametrize(
    ("seeds", "max_seeds", "stored", "both"),
    [
        ((0, 1, 2), 8, (7, 8), [7]),
        ((0, 1, 2), 2, (2, 3), [2]),
        ((0, 5), 3, (0, 1, 6, 7), [0, 6]),
        ((5, 0), 4, (6, 7, 8), [6, 7]),
        ((9,), 1, (9, 10), [9]),
    ],
)
def test_seeds_that_may_be_used_must_not(against, seeds, max_seeds, stored, both):
    message = rf"this session may train too; .* Received: seeds={re.escape(str(both))}$"
    with pytest.raises(ValueError, match=message):
        against(stored, seeds=seeds, max_seeds=max_seeds)
