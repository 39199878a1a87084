"""The suites as a user runs them: real processes, real training, real files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from suite_runs import QUICK, ROOT, SuiteRun, run_command, run_pytest

VARIANTS = ("documented", "functional")
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
def healthy(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    folder = tmp_path_factory.mktemp("healthy")
    (folder / "targets.toml").write_text(TARGETS)
    return run_pytest(
        folder,
        "--benchmark-only",
        f"--benchmark-json={folder / 'benchmark.json'}",
        f"--cnnbench-data={tiny_folder}",
        f"--cnnbench-targets={folder / 'targets.toml'}",
        f"--cnnbench-variants={','.join(VARIANTS)}",
        f"--cnnbench-seeds={','.join(SEEDS)}",
        *QUICK,
        # As without any option: trainings side by side, then a process of its own that measures.
        *("--cnnbench-workers=2", "--cnnbench-threads=2"),
    )


def test_a_healthy_suite_is_green(healthy: SuiteRun) -> None:
    assert healthy.code == 0, healthy.output
    assert healthy.named("failure") == healthy.named("error") == set()


def test_only_what_has_no_threshold_or_no_count_is_skipped(healthy: SuiteRun) -> None:
    drops = {f"test_accuracy_drop[{variant}]" for variant in VARIANTS}
    trained = {f"test_train_accuracy[{variant}]" for variant in VARIANTS}
    # No backend counts what training costs.
    uncounted = {f"test_flops[{variant}-train-tensorflow-cpu-float32-32]" for variant in VARIANTS}
    stated = {"test_accuracy[functional]", *drops, *trained}
    assert healthy.named("skipped") == stated | uncounted
    assert "targets.toml has no 'accuracy'" in healthy.messages["test_accuracy[functional]"]
    assert "there is no baseline" in healthy.messages["test_accuracy_drop[documented]"]
    reason = "tensorflow does not count the operations of training"
    assert {healthy.messages[name].partition(": ")[2] for name in uncounted} == {reason}


@pytest.mark.parametrize(
    "name",
    [
        "test_held_out",
        "test_near_duplicates",
        "test_class_balance",
        "test_repeatable_inference[functional]",
        "test_dead_units[documented]",
        "test_training_finished[documented-1]",
        "test_accuracy[documented]",
        "test_better_than_majority[functional]",
        "test_generalization_gap[documented]",
        "test_validation_loss_rise[documented]",
        "test_initial_loss[documented]",
        "test_weights_moved[documented]",
        "test_memorization[documented]",
        "test_shuffled_labels[documented]",
        "test_training_throughput[documented-tensorflow-cpu-float32-32]",
        "test_inference_throughput[functional-tensorflow-cpu-float32-32]",
    ],
)
def test_ids_carry_kind_variant_seed_and_device(healthy: SuiteRun, name: str) -> None:
    assert healthy.outcomes[name] == "passed"


def test_each_variant_is_trained_once_under_each_seed(healthy: SuiteRun) -> None:
    runs = healthy.report().runs
    keys = sorted(zip(runs["variant"], runs["seed"], strict=True))
    assert keys == sorted((variant, int(seed)) for variant in VARIANTS for seed in SEEDS)
    assert healthy.output.count(": held-out accuracy ") == len(VARIANTS) * len(SEEDS)


def test_every_check_leaves_a_row(healthy: SuiteRun) -> None:
    checks = healthy.report().checks
    assert set(checks["verdict"]) == {"pass"}
    passed = {name.partition("[")[0] for name in healthy.named("passed")}
    judged = {name for name in passed if "throughput" not in name}
    assert {f"test_{name}" for name in checks["check"]} == judged


def test_functional_is_documented_bit_by_bit(healthy: SuiteRun) -> None:
    hashes = healthy.report().runs.set_index(["variant", "seed"])["weights_sha256"]
    assert hashes["documented"].tolist() == hashes["functional"].tolist()


def test_tables_have_the_promised_columns(healthy: SuiteRun) -> None:
    report = healthy.report()
    promised = {
        "runs": "variant seed backend device dtype batch_size epochs train_accuracy val_accuracy "
        "train_loss val_loss generalization_gap parameters seconds",
        "throughput": "variant workload backend device dtype batch_size images_per_second "
        "step_time_ms latency_p50_ms latency_p90_ms latency_p99_ms first_step_seconds "
        "peak_memory_mb rounds",
        "checks": "check variant verdict observed threshold detail",
    }
    for table, columns in promised.items():
        assert set(columns.split()) <= set(getattr(report, table).columns)


def test_predictions_give_the_accuracy_of_each_run(healthy: SuiteRun) -> None:
    report = healthy.report()
    said = report.predictions.assign(
        right=report.predictions["true_class"] == report.predictions["predicted_class"]
    )
    shares = said.groupby(["variant", "seed"])["right"].mean()
    accuracies = report.runs.set_index(["variant", "seed"])["val_accuracy"]
    pd.testing.assert_series_equal(shares, accuracies, check_names=False, check_exact=True)


def test_throughput_follows_from_the_raw_rounds(healthy: SuiteRun) -> None:
    report = healthy.report()
    key = ["variant", "workload", "device", "batch_size"]
    step = (report.rounds["seconds"] / report.rounds["steps"]).groupby(
        [report.rounds[column] for column in key]
    )
    expected = step.median() * 1e3
    shown = report.throughput.set_index(key)["step_time_ms"]
    pd.testing.assert_series_equal(shown.sort_index(), expected.sort_index(), check_names=False)


def test_environment_is_the_identity_of_the_run(healthy: SuiteRun) -> None:
    environment = healthy.report().environment
    assert environment["data"]["name"] == "tiny"
    assert environment["data"]["content_hash"] == healthy.report().runs["data_hash"].iloc[0]
    assert environment["packages"]["keras"]
    assert environment["machine"]["logical_cpus"] >= 1
    assert environment["options"]["epochs"] == 4


def test_pytest_benchmark_shows_what_the_worker_measured(healthy: SuiteRun) -> None:
    stored = json.loads((healthy.folder / "benchmark.json").read_text())
    by_name = {bench["name"]: bench for bench in stored["benchmarks"]}
    bench = by_name["test_training_throughput[documented-tensorflow-cpu-float32-32]"]
    rounds = healthy.report().rounds.query("variant == 'documented' and workload == 'train'")
    pictures = rounds["steps"] * rounds["batch_size"].astype(int)
    seconds = (rounds["seconds"] / pictures).tolist()
    assert bench["stats"]["data"] == pytest.approx(seconds)
    assert bench["extra_info"]["images_per_second"] > 0
    assert 0 < bench["extra_info"]["accuracy"] <= 1
    assert stored["cnnbench"]["data"]["name"] == "tiny"


def test_each_training_run_is_a_benchmark_with_its_accuracy(healthy: SuiteRun) -> None:
    stored = json.loads((healthy.folder / "benchmark.json").read_text())
    by_name = {bench["name"]: bench for bench in stored["benchmarks"]}
    runs = healthy.report().runs.set_index(["variant", "seed"])
    bench = by_name["test_training_finished[documented-0]"]
    assert bench["stats"]["data"] == pytest.approx([runs.loc[("documented", 0), "seconds"]])
    assert bench["extra_info"]["accuracy"] == runs.loc[("documented", 0), "val_accuracy"]


def test_the_summary_closes_the_session_and_show_prints_it_again(healthy: SuiteRun) -> None:
    (report,) = healthy.reports
    shown = run_command("show", str(report), cwd=healthy.folder)
    summary = shown.stdout.splitlines()[:5]
    assert shown.returncode == 0
    assert summary[0].split() == ["variant", "seeds", "accuracy", "gap", "parameters"]
    assert "\n".join(summary) in healthy.output


def test_show_finds_the_newest_report(healthy: SuiteRun) -> None:
    shown = run_command("show", cwd=healthy.folder)
    assert f"report: reports/{healthy.reports[-1].name}" in shown.stdout


def test_a_report_names_no_path_of_the_machine(healthy: SuiteRun) -> None:
    (report,) = healthy.reports
    for path in report.iterdir():
        text = path.read_text()
        assert str(ROOT) not in text, path.name
        assert str(healthy.folder.parent) not in text, path.name
