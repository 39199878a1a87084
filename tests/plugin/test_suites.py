"""The suites as a user runs them: real processes, real training, real files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from suite_runs import QUICK, ROOT, SuiteRun, run_pytest

from cnnbench.report.summary import summary_text

SEEDS = ("0", "1")

# What is known of seeds' spread lets two of them decide: no gate adds any.
TARGETS = """
[tiny]
accuracy_sd = 0.02
accuracy_seeds = 20
generalization_gap_sd = 0.02
generalization_gap_seeds = 20

[tiny.documented]
accuracy = 0.8
"""


@pytest.fixture(scope="module")
def run(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """Every test of a healthy variant, and the one that a faulty model fails."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "targets.toml").write_text(TARGETS)
    return run_pytest(
        folder,
        "--benchmark-only",
        f"--benchmark-json={folder / 'benchmark.json'}",
        f"--cnnbench-data={tiny_folder}",
        f"--cnnbench-targets={folder / 'targets.toml'}",
        "--cnnbench-variants=documented,faults:frozen",
        f"--cnnbench-seeds={','.join(SEEDS)}",
        *QUICK,
        *("-k", "not frozen or weights_moved"),
    )


def test_a_healthy_variant_is_green_and_a_faulty_one_red(run: SuiteRun) -> None:
    assert run.code == 1, run.output
    assert run.named("failure") == {"test_weights_moved[faults:frozen]"}
    assert run.named("error") == set()


def test_a_failure_is_one_sentence_without_a_traceback(run: SuiteRun) -> None:
    message = run.messages["test_weights_moved[faults:frozen]"]
    assert "6 weight arrays are as they were drawn after training" in message
    assert "Traceback" not in run.output


def test_only_what_has_no_threshold_or_no_count_is_skipped(run: SuiteRun) -> None:
    reasons = {name: run.messages[name].rpartition(": ")[2] for name in run.named("skipped")}
    assert set(reasons) == {
        "test_accuracy_drop[documented]",
        "test_train_accuracy[documented]",
        "test_flops[documented-train-tensorflow-cpu-float32-32]",
    }
    no_target = "targets.toml has no 'train_accuracy' for the pictures 'tiny' and the variant"
    assert no_target in reasons["test_train_accuracy[documented]"]
    assert "there is no baseline" in reasons["test_accuracy_drop[documented]"]
    reason = "tensorflow does not count the operations of training"
    assert reason in reasons["test_flops[documented-train-tensorflow-cpu-float32-32]"]


def test_each_variant_is_trained_once_under_each_seed(run: SuiteRun) -> None:
    runs = run.report().runs
    keys = sorted(zip(runs["variant"], runs["seed"], strict=True))
    assert keys == [(name, seed) for name in ("documented", "faults:frozen") for seed in (0, 1)]
    assert run.output.count(": held-out accuracy ") == len(keys)


def test_every_check_leaves_a_row(run: SuiteRun) -> None:
    checks = run.report().checks
    assert checks.loc[checks["verdict"] != "pass", "check"].tolist() == ["weights_moved"]
    ran = {name.partition("[")[0] for name in run.named("passed")}
    judged = {name for name in ran if "throughput" not in name}
    assert {f"test_{name}" for name in checks["check"]} == judged


def test_predictions_give_the_accuracy_of_each_run(run: SuiteRun) -> None:
    report = run.report()
    said = report.predictions.assign(
        right=report.predictions["true_class"] == report.predictions["predicted_class"]
    )
    shares = said.groupby(["variant", "seed"])["right"].mean()
    accuracies = report.runs.set_index(["variant", "seed"])["val_accuracy"]
    pd.testing.assert_series_equal(shares, accuracies, check_names=False, check_exact=True)


def test_throughput_follows_from_the_raw_rounds(run: SuiteRun) -> None:
    report = run.report()
    key = ["variant", "workload", "device", "batch_size"]
    step = (report.rounds["seconds"] / report.rounds["steps"]).groupby(
        [report.rounds[column] for column in key]
    )
    expected = step.median() * 1e3
    shown = report.throughput.set_index(key)["step_time_ms"]
    pd.testing.assert_series_equal(shown.sort_index(), expected.sort_index(), check_names=False)


def test_environment_is_the_identity_of_the_run(run: SuiteRun) -> None:
    environment = run.report().environment
    assert environment["data"]["name"] == "tiny"
    assert environment["data"]["content_hash"] == run.report().runs["data_hash"].iloc[0]
    assert environment["packages"]["keras"]
    assert environment["machine"]["logical_cpus"] >= 1
    assert environment["options"]["epochs"] == 4


def test_pytest_benchmark_shows_what_the_worker_measured(run: SuiteRun) -> None:
    stored = json.loads((run.folder / "benchmark.json").read_text())
    by_name = {bench["name"]: bench for bench in stored["benchmarks"]}
    bench = by_name["test_training_throughput[documented-tensorflow-cpu-float32-32]"]
    rounds = run.report().rounds.query("variant == 'documented' and workload == 'train'")
    pictures = rounds["steps"] * rounds["batch_size"].astype(int)
    seconds = (rounds["seconds"] / pictures).tolist()
    assert bench["stats"]["data"] == pytest.approx(seconds)
    assert bench["extra_info"]["images_per_second"] > 0
    assert 0 < bench["extra_info"]["accuracy"] <= 1
    assert stored["cnnbench"]["data"]["name"] == "tiny"


def test_the_summary_closes_the_session(run: SuiteRun) -> None:
    assert summary_text(run.report()) in run.output


def test_a_report_names_no_path_of_the_machine(run: SuiteRun) -> None:
    (report,) = run.reports
    for path in report.iterdir():
        text = path.read_text()
        assert str(ROOT) not in text, path.name
        assert str(run.folder.parent) not in text, path.name
