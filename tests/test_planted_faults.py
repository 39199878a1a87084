"""Every planted fault of a model or of labels goes red, by the check that is meant for it.

Faults of pictures are planted in `tests/pictures` and in the checks' own tests; that pytest fails
for a red check is shown by `tests/plugin/test_suites.py`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from tiny import write_pictures

from cnnbench import train
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.pictures.data_set import load_splits
from cnnbench.session.session import data_set_of
from cnnbench.training.sanity import memorize
from cnnbench.verdicts.checks import training as checks
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.rules import AccuracyTarget
from cnnbench.verdicts.targets import DEFAULTS


@pytest.fixture(scope="module")
def check_of(tiny_splits):
    """Returns the result of a check of a faulty model, with the default threshold."""
    data = data_set_of(tiny_splits, 0.0)

    @cache
    def trained(fault):
        return train(f"faults:{fault}", tiny_splits, epochs=4).run

    def check(name, fault):
        if name == "memorization":
            place = Place("tensorflow", "cpu", 1)
            run = memorize(variant_named(f"faults:{fault}"), tiny_splits, 0, place)
            return checks.check_memorization(run, DEFAULTS[name])
        runs = [trained(fault)]
        if name == "better_than_majority":
            return checks.check_better_than_majority(runs, data)
        if name == "initial_loss":
            return checks.check_initial_loss(runs, len(data.classes), DEFAULTS[name])
        return getattr(checks, f"check_{name}")(runs, DEFAULTS[name])

    return check


FAULTS = [
    ("unscaled", "initial_loss"),
    ("frozen", "weights_moved"),
    ("constant", "better_than_majority"),
    ("constant", "memorization"),
    ("hasty", "memorization"),
    ("hasty", "better_than_majority"),
    ("dead", "dead_units"),
    ("dead", "weights_moved"),
    ("augmented", "repeatable_inference"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS)
def test_a_faulty_model_is_red(check_of, fault, name):
    found = check_of(name, fault)
    assert (found.check, found.verdict) == (name, "fail")


@pytest.mark.parametrize("name", sorted({name for _, name in FAULTS}))
def test_the_same_network_without_a_fault_is_green(check_of, name):
    assert check_of(name, "healthy").verdict == "pass"


def test_shuffled_labels_in_the_data_are_red(tmp_path, own_cache):
    folder = write_pictures(tmp_path / "shuffled", wrong_labels=1.0)
    splits = load_splits(folder, image_size=24, cache=own_cache)
    run, data = train("single-block", splits, epochs=4).run, data_set_of(splits, 0.0)
    assert checks.check_better_than_majority([run], data).verdict == "fail"
    evidence = AccuracyTarget(0.8).evidence([run, run], data.validation_labels, Levels())
    assert evidence.observed < 0.7


def test_classes_that_are_swapped_on_one_side_are_asked_for(tiny_splits):
    held_out = tiny_splits.validation
    splits = replace(tiny_splits, validation=replace(held_out, labels=1 - held_out.labels))
    run = train("single-block", splits, epochs=4).run
    result = checks.check_better_than_majority([run], data_set_of(splits, 0.0))
    assert result.verdict == "fail"
    assert "are the classes swapped" in result.detail
