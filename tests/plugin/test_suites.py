"""The suites as they are, with real trainings, measurements and files."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from made_workers import Worker, World
from suite_runs import ROOT, SUITES, SuiteRun, into

from cnnbench.machine.backends import Place
from cnnbench.records.journal import from_data
from cnnbench.report.summary import summary_text
from cnnbench.session.workers import crew as crews
from cnnbench.session.workers.jobs import Job
from cnnbench.session.workers.jobs import run as run_job
from cnnbench.session.workers.process import WorkerProcess

OPTIONS = """
--benchmark-only --cnnbench-variants=documented,faults:frozen --cnnbench-seeds=0,1
--cnnbench-image-size=24 --cnnbench-epochs=4 --cnnbench-rounds=2 --cnnbench-warmup-rounds=1
--cnnbench-workers=1 --cnnbench-threads=1
"""
# What is known of seeds' spread lets two of them decide: no gate adds any.
TARGETS = """
[tiny]
accuracy = 0.8
accuracy_sd = 0.02
accuracy_seeds = 20
generalization_gap_sd = 0.02
generalization_gap_seeds = 20
"""


class Here(World):
    """Does jobs in this process; they and their results go through JSON, as to a worker."""

    def come_to(self, place: Place, job: Job[Any]) -> Any:
        fields = json.loads(json.dumps(asdict(job), default=os.fspath))
        result = run_job(from_data(type(job), fields), place, lambda values: None)
        return from_data(job.result(), json.loads(json.dumps(result, default=asdict)))


@pytest.fixture(scope="module")
def run(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """Every test of a healthy variant, and the one that a faulty model fails."""
    folder, output = tmp_path_factory.mktemp("run"), io.StringIO()
    targets = folder / "targets.toml"
    targets.write_text(TARGETS)
    given = [f"--cnnbench-data={tiny_folder}", f"--cnnbench-targets={targets}", *into(folder)]
    # Trainings are done here, and then measurements in a process.
    kinds = iter([partial(Worker, Here()), WorkerProcess])
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(crews, "WorkerProcess", lambda place: next(kinds)(place))
        patch.setenv("COLUMNS", "200")
        chosen = "-k=not frozen or weights_moved"
        code = pytest.main([str(SUITES), *OPTIONS.split(), *given, chosen])
    return SuiteRun(int(code), output.getvalue(), folder)


def test_a_healthy_variant_is_green_and_a_faulty_one_red(run: SuiteRun) -> None:
    assert run.code == 1, run.output
    assert run.named("failure") == {"test_weights_moved[faults:frozen]"}
    assert run.named("error") == set()
    message = run.messages["test_weights_moved[faults:frozen]"]
    assert "6 weight arrays are as they were drawn after training" in message
    assert "Traceback" not in message


def test_pictures_come_first_then_trainings_gates_and_measurements(run: SuiteRun) -> None:
    order = [name.partition("[")[0].removeprefix("test_") for name in run.outcomes]
    gates = ("accuracy", "train_accuracy", "accuracy_drop", "generalization_gap")
    places = [order.index(name) for name in gates]
    assert order[:2] == ["held_out", "near_duplicates"]
    assert order.index("shuffled_labels") < min(places)
    assert max(places) < order.index("same_answers") < order.index("training_throughput")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("train_accuracy[documented]", "targets.toml has no 'train_accuracy' for the pictures 't"),
        ("accuracy_drop[documented]", "there is no baseline; give --cnnbench-baseline=FILE"),
        ("flops[documented-train-tensorflow-cpu-float32-32]", "tensorflow does not count the oper"),
    ],
)
def test_what_has_no_threshold_or_no_count_is_skipped(run: SuiteRun, name: str, reason: str):
    assert reason in run.messages[f"test_{name}"]
    assert len(run.named("skipped")) == 3


def test_what_is_trained_or_measured_is_so_once(run: SuiteRun) -> None:
    runs = run.report().runs
    keys = sorted(zip(runs["variant"], runs["seed"], strict=True))
    assert keys == [(name, seed) for name in ("documented", "faults:frozen") for seed in (0, 1)]
    assert run.output.count(": held-out accuracy ") == len(keys)
    assert run.output.count("] timing ") == len(run.report().throughput) == 2


def test_every_check_leaves_a_row(run: SuiteRun) -> None:
    checks = run.report().checks
    assert checks.loc[checks["verdict"] != "pass", "check"].tolist() == ["weights_moved"]
    ran = {name.partition("[")[0] for name in run.named("passed")}
    judged = {name for name in ran if "throughput" not in name}
    assert {f"test_{name}" for name in checks["check"]} == judged


def test_the_summary_closes_the_session(run: SuiteRun) -> None:
    assert summary_text(run.report()) in run.output


def test_a_report_names_no_path_of_the_machine(run: SuiteRun) -> None:
    for path in run.reports[0].iterdir():
        assert str(ROOT) not in path.read_text(), path.name
        assert str(run.folder.parent) not in path.read_text(), path.name
