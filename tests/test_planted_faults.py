"""Every planted fault goes red, by the check that is meant for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from suite_runs import QUICK, SuiteRun, run_pytest
from tiny import write_pictures


@pytest.fixture(scope="module")
def faulty_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    names = ("healthy", "unscaled", "frozen", "constant", "hasty", "quick", "dead", "augmented")
    return run_pytest(
        tmp_path_factory.mktemp("faulty"),
        "--benchmark-only",
        f"--cnnbench-data={tiny_folder}",
        "--cnnbench-seeds=0",
        f"--cnnbench-variants={','.join(f'faults:{name}' for name in names)}",
        *QUICK,
        "-k",  # gates on faulty models, and their speeds, have tests of their own
        "initial_loss or weights_moved or majority or memorization or dead_units or repeatable",
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
        ("quick", "test_memorization"),
        ("dead", "test_dead_units"),
        ("dead", "test_weights_moved"),
        ("augmented", "test_repeatable_inference"),
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
    # What is known of seeds' spread lets one of them decide.
    targets.write_text("[shuffled]\naccuracy = 0.8\naccuracy_sd = 0.05\naccuracy_seeds = 20\n")
    run = run_pytest(
        tmp_path / "run",
        "--benchmark-only",
        f"--cnnbench-data={folder}",
        f"--cnnbench-targets={targets}",
        "--cnnbench-variants=documented",
        "--cnnbench-seeds=0",
        *QUICK,
        "-k",
        "(test_accuracy and not drop) or majority",
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


def judged(folder: Path, run: Path, *arguments: str) -> SuiteRun:
    """Runs what needs one short training at most."""
    return run_pytest(
        run,
        "--benchmark-only",
        f"--cnnbench-data={folder}",
        "--cnnbench-variants=documented",
        "--cnnbench-seeds=0",
        *QUICK,
        *("-k", "duplicates or balance or majority"),
        *arguments,
    )


def test_a_saved_again_training_picture_is_red_and_training_goes_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    shutil.copytree(tiny_folder, folder)
    Image.open(folder / "train/dogs/007.png").save(folder / "validation/dogs/copy.jpg", quality=60)
    run = judged(folder, tmp_path / "run")
    assert run.code == 1
    assert run.named("failure") == {"test_near_duplicates"}
    message = run.messages["test_near_duplicates"]
    assert "train/dogs/007.png and validation/dogs/copy.jpg" in message
    assert run.outcomes["test_better_than_majority[documented]"] == "passed"


def test_a_class_of_five_per_cent_is_red(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "unequal", train=38)
    for path in sorted((folder / "train/dogs").iterdir())[2:]:
        path.unlink()
    run = judged(folder, tmp_path / "run", "-k", "balance")
    assert run.code == 1
    assert "dogs 5.0% and 50.0%" in run.messages["test_class_balance"]


@pytest.mark.parametrize("emptied", ["folder", "pictures"])
def test_a_class_that_is_missing_in_training_is_one_error(tmp_path: Path, emptied: str) -> None:
    folder = write_pictures(tmp_path / "missing", train=4, validation=4)
    shutil.rmtree(folder / "train/dogs")
    if emptied == "pictures":
        (folder / "train/dogs").mkdir()
    run = judged(folder, tmp_path / "run")
    assert run.code == 4
    assert "only in train/ [], only in validation/ ['dogs']" in run.output
    assert "Traceback" not in run.output


def test_classes_that_are_swapped_on_one_side_are_asked_for(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "swapped"
    shutil.copytree(tiny_folder, folder)
    held_out = folder / "validation"
    (held_out / "cats").rename(held_out / "was-cats")
    (held_out / "dogs").rename(held_out / "cats")
    (held_out / "was-cats").rename(held_out / "dogs")
    run = judged(folder, tmp_path / "run")
    assert run.named("failure") == {"test_better_than_majority[documented]"}
    assert "are the classes swapped" in run.messages["test_better_than_majority[documented]"]
