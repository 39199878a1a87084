"""Slow proofs on the embedded pictures: `make slow`. The normal run has smaller ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from suite_runs import run_pytest

from cnnbench.pictures.data_set import Splits
from cnnbench.session.options import Options
from cnnbench.session.session import read_splits
from cnnbench.training.train import train
from cnnbench.verdicts.gates.evidence import Levels
from cnnbench.verdicts.gates.jury import Gate, Jury
from cnnbench.verdicts.gates.rules import GeneralizationGapLimit
from cnnbench.verdicts.targets import DEFAULTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn() -> Splits:
    return read_splits(Options(), lambda text: None)


def test_too_long_a_training_on_few_pictures_overfits_and_is_red(drawn: Splits) -> None:
    labels = drawn.train.labels
    kept = np.concatenate([np.flatnonzero(labels == label)[:50] for label in (0, 1)])
    names = tuple(drawn.train.names[index] for index in kept)
    side = replace(drawn.train, names=names, labels=labels[kept], rows=drawn.train.rows[kept])
    pictures = replace(drawn, train=side)
    gate = Gate(GeneralizationGapLimit(DEFAULTS["generalization_gap"]), "documented", (0, 1, 2))
    result = Jury(
        [gate],
        Levels(),
        drawn.validation.labels.tolist(),
        lambda wanted: [train(variant, pictures, seed, epochs=40).run for variant, seed in wanted],
    ).verdict(gate)
    assert result.verdict == "fail", result.detail
    assert result.observed > 0.15


def test_accuracy_stays_below_the_ceiling(drawn: Splits) -> None:
    runs = [train("three-blocks", drawn, seed).run for seed in range(2)]
    assert 0.80 < np.mean([run.val_accuracy for run in runs]) < 0.95


def test_two_runs_of_the_suite_are_equal_in_every_accuracy_and_loss(tmp_path: Path) -> None:
    arguments = ("--benchmark-only", "-k", "test_training_finished")
    first, second = (
        run_pytest(tmp_path / name, *arguments).report().runs for name in ("first", "second")
    )
    timings = ["seconds", "evaluation_seconds"]
    pd.testing.assert_frame_equal(
        first.drop(columns=timings), second.drop(columns=timings), check_exact=True
    )
    assert len(first) == 12
