"""Every planted fault goes red, by the check that is meant for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from suite_runs import SuiteRun, run_pytest
from test_suites import QUICK
from tiny import write_pictures


@pytest.fixture(scope="module")
def faulty_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    names = ("healthy", "unscaled", "frozen", "constant", "hasty")
    return run_pytest(
        tmp_path_factory.mktemp("faulty"),
        "--benchmark-only",
        f"--cnnbench-data={tiny_folder}",
        "--cnnbench-seeds=0",
        f"--cnnbench-variants={','.join(f'faults:{name}' for name in names)}",
        *QUICK,
        "-k",
        "not throughput",
    )


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("unscaled", "test_initial_loss"),
        ("frozen", "test_weights_moved"),
        ("constant", "test_better_than_majority"),
        ("constant", "test_memorization"),
        ("hasty", "test_memorization"),
        ("hasty", "test_better_than_majority"),
    ],
)
def test_a_faulty_model_is_red(faulty_models: SuiteRun, fault: str, check: str) -> None:
    assert faulty_models.code == 1
    assert faulty_models.outcomes[f"{check}[faults:{fault}]"] == "failure"


def test_the_same_network_without_a_fault_is_green(faulty_models: SuiteRun) -> None:
    red = faulty_models.named("failure") | faulty_models.named("error")
    assert not [name for name in red if "healthy" in name]


def test_a_failure_is_one_sentence_without_a_traceback(faulty_models: SuiteRun) -> None:
    message = faulty_models.messages["test_weights_moved[faults:frozen]"]
    assert "6 weight arrays are as they were drawn after training" in message
    assert "Traceback" not in faulty_models.output


def test_shuffled_labels_in_the_data_are_red(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "shuffled", wrong_labels=1.0)
    targets = tmp_path / "targets.toml"
    targets.write_text("[shuffled]\naccuracy = 0.8\n")
    run = run_pytest(
        tmp_path / "run",
        "--benchmark-only",
        f"--cnnbench-data={folder}",
        f"--cnnbench-targets={targets}",
        "--cnnbench-variants=documented",
        "--cnnbench-seeds=0",
        *QUICK,
        "-k",
        "test_accuracy or majority",
    )
    assert run.code == 1
    assert run.named("failure") == {
        "test_accuracy[documented]",
        "test_better_than_majority[documented]",
    }


def test_training_pictures_as_validation_are_red_and_nothing_is_trained(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "leaking"
    shutil.copytree(tiny_folder / "train", folder / "train")
    shutil.copytree(tiny_folder / "train", folder / "validation")
    run = run_pytest(tmp_path / "run", "--benchmark-only", f"--cnnbench-data={folder}", *QUICK)
    assert run.code == 1
    assert run.outcomes == {"test_held_out": "failure"}
    message = run.messages["test_held_out"]
    assert "train/cats/000.png" in message
    assert "validation/cats/000.png" in message
    assert run.report().runs.empty


def test_a_single_shared_picture_fails_each_check_that_is_asked_for(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "leaking"
    shutil.copytree(tiny_folder, folder)
    shutil.copy(folder / "train/dogs/007.png", folder / "validation/dogs/copy.png")
    run = run_pytest(
        tmp_path / "run", "--benchmark-only", f"--cnnbench-data={folder}", *QUICK, "-k", "accuracy"
    )
    assert run.code == 1
    (message,) = run.messages.values()
    assert "train/dogs/007.png" in message
    assert "validation/dogs/copy.png" in message
