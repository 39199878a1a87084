"""Every planted fault of a model or of labels goes red, by the check that is meant for it.

Faults of pictures are planted in `tests/pictures` and in the checks' own tests; that pytest fails
for a red check is shown by `tests/plugin/test_suites.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import write_pictures

from cnnbench import train
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.pictures.data_set import load_splits
from cnnbench.records.records import CheckResult, TrainingRun
from cnnbench.session.session import data_set_of
from cnnbench.training.sanity import memorize
from cnnbench.verdicts.checks import training as checks
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.rules import AccuracyTarget
from cnnbench.verdicts.targets import DEFAULTS

PLACE = Place("tensorflow", "cpu", 1)
Trained = Callable[[str], TrainingRun]


@pytest.fixture(scope="module")
def trained(tiny_splits) -> Trained:
    """Returns the run of a faulty model, trained once."""
    runs: dict[str, TrainingRun] = {}

    def run(fault: str) -> TrainingRun:
        if fault not in runs:
            runs[fault] = train(f"faults:{fault}", tiny_splits, epochs=4).run
        return runs[fault]

    return run


@pytest.fixture(scope="module")
def check_of(tiny_splits, trained) -> Callable[[str, str], CheckResult]:
    """Returns the result of a check of a faulty model, with the default threshold."""
    data = data_set_of(tiny_splits, 0.0)

    def check(name: str, fault: str) -> CheckResult:
        if name == "memorization":
            run = memorize(variant_named(f"faults:{fault}"), tiny_splits, 0, PLACE)
            return checks.check_memorization(run, DEFAULTS[name])
        runs = [trained(fault)]
        if name == "better_than_majority":
            return checks.check_better_than_majority(runs, data)
        if name == "initial_loss":
            return checks.check_initial_loss(runs, len(data.classes), DEFAULTS[name])
        return getattr(checks, f"check_{name}")(runs, DEFAULTS[name])

    return check


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("unscaled", "initial_loss"),
        ("frozen", "weights_moved"),
        ("constant", "better_than_majority"),
        ("constant", "memorization"),
        ("hasty", "memorization"),
        ("hasty", "better_than_majority"),
        ("dead", "dead_units"),
        ("dead", "weights_moved"),
        ("augmented", "repeatable_inference"),
    ],
)
def test_a_faulty_model_is_red(check_of, fault, name):
    found = check_of(name, fault)
    assert (found.check, found.verdict) == (name, "fail")


@pytest.mark.parametrize(
    "name",
    [
        "better_than_majority",
        "dead_units",
        "initial_loss",
        "memorization",
        "repeatable_inference",
        "weights_moved",
    ],
)
def test_the_same_network_without_a_fault_is_green(check_of, name):
    assert check_of(name, "healthy").verdict == "pass"


def test_shuffled_labels_in_the_data_are_red(tmp_path: Path, own_cache: Path) -> None:
    folder = write_pictures(tmp_path / "shuffled", wrong_labels=1.0)
    splits = load_splits(folder, image_size=24, cache=own_cache)
    run = train("single-block", splits, epochs=4).run
    data = data_set_of(splits, 0.0)
    assert checks.check_better_than_majority([run], data).verdict == "fail"
    evidence = AccuracyTarget(0.8).evidence([run, run], data.validation_labels, Levels())
    assert evidence.observed < 0.7


def test_classes_that_are_swapped_on_one_side_are_asked_for(
    tiny_folder: Path, tmp_path: Path, own_cache: Path
) -> None:
    folder = tmp_path / "swapped"
    shutil.copytree(tiny_folder, folder)
    held_out = folder / "validation"
    (held_out / "cats").rename(held_out / "was-cats")
    (held_out / "dogs").rename(held_out / "cats")
    (held_out / "was-cats").rename(held_out / "dogs")
    splits = load_splits(folder, image_size=24, cache=own_cache)
    run = train("single-block", splits, epochs=4).run
    result = checks.check_better_than_majority([run], data_set_of(splits, 0.0))
    assert result.verdict == "fail"
    assert "are the classes swapped" in result.detail
