"""Which gate a test asks for: what targets, marker, options and baseline say."""

from __future__ import annotations

import pytest
from factories import training_run

from cnnbench.models.variants import VARIANTS
from cnnbench.plugin.asks import Gates
from cnnbench.stats.intervals import UNKNOWN, Spread
from cnnbench.verdicts.gates import rules
from cnnbench.verdicts.gates.baselines import Baseline, identity_of, write_baselines

WIDE = VARIANTS["wide"]
TARGETS = "[tiny]\naccuracy = 0.7\ntrain_accuracy = 0.8\n"


@pytest.fixture
def asked(pytester, started):
    """Returns the gate of a test beside which there is this targets file."""

    def ask(name: str, targets: str = TARGETS, *arguments: str, marker: str = ""):
        (pytester.path / "targets.toml").write_text(targets)
        test = f"@pytest.mark.cnnbench({marker})\ndef test_it(cnnbench_{name}): pass"
        path = pytester.makepyfile(test_own=f"import pytest\n{test}")
        items, _ = pytester.inline_genitems(str(path), "--cnnbench-variants=wide", *arguments)
        (gate,) = Gates(started(), items).asked.values()
        return gate

    return ask


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("accuracy", rules.AccuracyTarget(0.7, UNKNOWN)),
        ("train_accuracy", rules.TrainAccuracyTarget(0.8, UNKNOWN)),
        ("generalization_gap", rules.GeneralizationGapLimit(0.10, UNKNOWN)),
        ("validation_loss_rise", rules.ValidationLossRiseLimit(0.30)),
    ],
)
def test_a_gate_has_the_rule_the_variant_and_the_seeds(asked, name, rule):
    gate = asked(name, TARGETS, "--cnnbench-seeds=4-5")
    assert (gate.rule, gate.variant, gate.seeds) == (rule, "wide", (4, 5))


def test_a_marker_goes_before_the_file(asked):
    gate = asked("accuracy", marker="accuracy=0.9, seeds=[7]")
    assert (gate.rule, gate.seeds) == (rules.AccuracyTarget(0.9), (7,))


def test_a_file_that_is_named_goes_before_the_one_beside_the_test(asked, pytester):
    other = pytester.path / "other.toml"
    other.write_text("[tiny]\naccuracy = 0.6\n")
    assert asked("accuracy", TARGETS, f"--cnnbench-targets={other}").rule == rules.AccuracyTarget(
        0.6
    )


@pytest.mark.parametrize("name", ["accuracy", "train_accuracy", "generalization_gap"])
def test_a_known_spread_has_the_degrees_of_freedom_of_its_seeds(asked, name):
    targets = f"{TARGETS}{name}_sd = 0.02\n{name}_seeds = 20\n"
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
def test_a_spread_without_its_seeds_is_an_error(asked, targets, received):
    message = f"stated as accuracy_sd, more than 0, with accuracy_seeds, .* Received: {received}"
    with pytest.raises(ValueError, match=message):
        asked("accuracy", f"{TARGETS}{targets}\n")


# Baselines


SEEDS = ("--cnnbench-seeds=0,5", "--cnnbench-max-seeds=3")  # and 6, if undecided


@pytest.fixture
def against(asked, tmp_path, tiny_splits):
    """Returns a baseline of what is tested, but for changes, and the gate that it is for."""

    def ask(seeds: tuple[int, ...], variant: str = "wide", **changes: object):
        run = training_run(fingerprint=WIDE.fingerprint(), data_hash=tiny_splits.content_hash)
        identity = {**identity_of(run), "epochs": 10, **changes}
        stored, path = Baseline(variant, identity, seeds, (0.9,) * len(seeds)), tmp_path / "b.json"
        write_baselines(path, [stored], {})
        targets = "[tiny]\naccuracy_drop = 0.02\n"
        return stored, asked("accuracy_drop", targets, f"--cnnbench-baseline={path}", *SEEDS)

    return ask


def test_a_drop_is_judged_by_the_baseline_and_its_margin(against):
    stored, gate = against((1, 2, 7, 8))
    assert gate.rule == rules.AccuracyDrop(stored, 0.02)


def test_a_baseline_must_not_have_seeds_that_the_session_may_use(against):
    with pytest.raises(ValueError, match=r"may train too, .* Received: seeds=\[0, 6\]$"):
        against((0, 1, 6, 7))


def test_a_baseline_of_something_else_is_an_error_that_names_all_differences(against):
    with pytest.raises(ValueError, match="was recorded under other conditions: ") as caught:
        against((1000, 1001), fingerprint="beef", device="gpu")
    message = str(caught.value)
    assert f"fingerprint is {WIDE.fingerprint()!r}, in the baseline 'beef'" in message
    assert "device is 'cpu', in the baseline 'gpu'" in message
    assert "epochs is" not in message


def test_a_baseline_of_another_variant_is_none(against):
    _, reason = against((8, 9), variant="dropout")
    assert reason.endswith("b.json has no baseline of the variant 'wide'")
