"""Gates in pytest: exit codes, JUnit and what people read, in real processes on tiny pictures.

Every network learns these pictures, and 8 of 48 held-out ones stand under the wrong class: 0.8333
under both seeds, which is no proof of 0.82.
"""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from suite_runs import QUICK, SuiteRun, run_pytest

from cnnbench.records.journal import JOURNAL_NAME, read_journal
from cnnbench.records.runs import TrainingRun
from cnnbench.verdicts.gates.baselines import Baseline, identity_of, write_baselines

OWN_SUITE = """
import pytest

@pytest.mark.cnnbench(accuracy=0.82)
def test_undecided(cnnbench_accuracy, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy)

@pytest.mark.cnnbench(variants="faults:crashing", seeds=[0], accuracy=0.5)
def test_broken(cnnbench_accuracy, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy)

@pytest.mark.cnnbench(accuracy=0.9, accuracy_sd=0.001, accuracy_seeds=20)
def test_red(cnnbench_accuracy, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy)

@pytest.mark.cnnbench(accuracy=0.5)
def test_clear(cnnbench_accuracy, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy)

def test_drop(cnnbench_accuracy_drop, cnnbench_judge):
    cnnbench_judge(cnnbench_accuracy_drop)
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "test_own.py"
    path.write_text(OWN_SUITE)
    return path


@pytest.fixture(scope="module")
def pictures(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "partly-wrong"
    shutil.copytree(tiny_folder, folder)
    for number in range(4):
        for own, other in (("cats", "dogs"), ("dogs", "cats")):
            picture = folder / "validation" / own / f"{number:03d}.png"
            picture.rename(folder / "validation" / other / f"wrong{number}.png")
    return folder


@pytest.fixture(scope="module")
def run_own(pictures: Path, suite: Path, tmp_path_factory: pytest.TempPathFactory):
    def run(*arguments: str) -> SuiteRun:
        return run_pytest(
            tmp_path_factory.mktemp("own"),
            f"--cnnbench-data={pictures}",
            "--cnnbench-workers=1",
            "--cnnbench-variants=documented",
            "--cnnbench-seeds=0,1",
            "--cnnbench-max-seeds=2",
            *QUICK,
            *arguments,
            suites=suite,
        )

    return run


@pytest.fixture(scope="module")
def undecided(run_own) -> SuiteRun:
    return run_own("-x", "-k", "undecided")


@pytest.fixture(scope="module")
def allowed(run_own) -> SuiteRun:
    return run_own("--cnnbench-inconclusive=allow", "-k", "undecided")


@pytest.fixture(scope="module")
def broken(run_own) -> SuiteRun:
    return run_own("-k", "undecided or broken")


@pytest.fixture(scope="module")
def all_kinds(run_own, undecided: SuiteRun, tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    path = tmp_path_factory.mktemp("baselines") / "high.json"
    write_baselines(path, [baseline_of_something(undecided, accuracies=(0.9, 0.95) * 30)], {})
    return run_own(f"--cnnbench-baseline={path}")


def baseline_of_something(
    run: SuiteRun, accuracies=(0.9, 0.91), first_seed: int = 1000, **identity: object
) -> Baseline:
    """Returns a baseline of what was trained in a run, but for the accuracies and what is given."""
    records = read_journal(run.reports[0] / JOURNAL_NAME)
    trained = next(record for record in records if isinstance(record, TrainingRun))
    seeds = tuple(range(first_seed, first_seed + len(accuracies)))
    return Baseline(trained.variant, {**identity_of(trained), **identity}, seeds, tuple(accuracies))


def properties(run: SuiteRun, name: str) -> dict[str, str]:
    cases = ElementTree.parse(run.folder / "junit.xml").iter("testcase")
    (case,) = (case for case in cases if case.attrib["name"] == name)
    return {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}


def last_line(run: SuiteRun) -> str:
    return run.output.strip().splitlines()[-1]


# Undecided


def test_an_undecided_gate_has_an_exit_code_of_its_own(undecided: SuiteRun) -> None:
    assert undecided.code == 10, undecided.output
    assert undecided.outcomes == {"test_undecided[documented]": "failure"}


def test_junit_has_the_verdict_and_its_numbers(undecided: SuiteRun) -> None:
    found = properties(undecided, "test_undecided[documented]")
    assert (found["check"], found["verdict"], found["values"]) == ("accuracy", "inconclusive", "2")
    assert (found["threshold"], found["alpha"]) == ("0.82", "0.01")
    assert float(found["observed"]) == pytest.approx(40 / 48)
    assert 0.01 < float(found["p_value"]) <= 1
    assert float(found["low"]) < 40 / 48 < float(found["high"])


def test_undecided_is_no_failure_in_pytests_own_words(undecided: SuiteRun) -> None:
    assert re.search(r"\b1 inconclusive\b", last_line(undecided)), undecided.output
    assert "failed" not in last_line(undecided)


def test_a_section_says_why_it_is_undecided(undecided: SuiteRun) -> None:
    section = undecided.output.split("INCONCLUSIVE")[-1]
    reason = next(line for line in section.splitlines() if "test_undecided" in line)
    assert "held-out accuracy 0.8333" in reason
    assert "target at least 0.8200" in reason
    assert "Undecided after 2 seeds, the most allowed: " in reason
    assert "Traceback" not in undecided.output


def test_the_report_and_its_summary_have_the_verdict(undecided: SuiteRun) -> None:
    (row,) = undecided.report().checks.to_dict("records")
    assert (row["check"], row["verdict"], row["values"]) == ("accuracy", "inconclusive", 2)
    assert row["low"] < row["observed"] < row["high"]
    head, line = undecided.output.split("= cnnbench =")[1].splitlines()[1:3]
    assert head.endswith("failed checks inconclusive")
    assert line.split()[-2:] == ["none", "accuracy"]


def test_undecided_can_be_let_through(allowed: SuiteRun) -> None:
    assert allowed.code == 0, allowed.output
    assert allowed.outcomes == {"test_undecided[documented]": "skipped"}
    assert properties(allowed, "test_undecided[documented]")["verdict"] == "inconclusive"
    assert re.search(r"\b1 inconclusive\b", last_line(allowed))
    assert "Undecided after 2 seeds, the most allowed" in allowed.output.split("INCONCLUSIVE")[-1]
    assert allowed.report().checks["verdict"].tolist() == ["inconclusive"]


# Errors


def test_a_gate_that_cant_be_judged_is_an_error_with_its_own_exit_code(broken: SuiteRun) -> None:
    assert broken.code == 11, broken.output
    assert broken.outcomes == {
        "test_undecided[documented]": "failure",
        "test_broken[faults:crashing]": "error",
    }


def test_the_error_says_what_happened(broken: SuiteRun) -> None:
    message = broken.messages["test_broken[faults:crashing]"]
    assert "accuracy of faults:crashing could not be judged: " in message
    assert "the worker process ended by signal 9" in message
    found = properties(broken, "test_broken[faults:crashing]")
    assert (found["check"], found["verdict"]) == ("accuracy", "error")
    assert "INTERNALERROR" not in broken.output


def test_the_report_and_its_summary_have_the_error(broken: SuiteRun) -> None:
    verdicts = broken.report().checks.set_index("variant")["verdict"]
    assert verdicts.to_dict() == {"documented": "inconclusive", "faults:crashing": "error"}
    assert "\naccuracy of faults:crashing: error\n" in broken.output


# Everything at once


def test_a_failure_goes_before_all_else(all_kinds: SuiteRun) -> None:
    assert all_kinds.code == 1, all_kinds.output
    assert all_kinds.outcomes == {
        "test_undecided[documented]": "failure",
        "test_broken[faults:crashing]": "error",
        "test_red[documented]": "failure",
        "test_clear[documented]": "passed",
        "test_drop[documented]": "failure",
    }
    for words in ("2 failed", "1 passed", "1 inconclusive", "1 error"):
        assert words in last_line(all_kinds)


def test_a_marker_states_thresholds_and_a_known_spread(all_kinds: SuiteRun) -> None:
    red, clear = (properties(all_kinds, f"test_{name}[documented]") for name in ("red", "clear"))
    assert (red["verdict"], red["threshold"]) == ("fail", "0.9")
    assert (clear["verdict"], clear["threshold"]) == ("pass", "0.5")


def test_a_baseline_above_what_is_reached_is_red(all_kinds: SuiteRun) -> None:
    message = all_kinds.messages["test_drop[documented]"]
    assert "accuracy_drop fail: documented held-out accuracy 0.8333" in message
    assert "a drop of +0.0917" in message
    assert "Undecided" not in message


# Baselines of something else


def test_a_baseline_of_something_else_is_one_clear_error(
    run_own, undecided: SuiteRun, tmp_path: Path
) -> None:
    path = tmp_path / "other.json"
    other = baseline_of_something(undecided, data_hash="beef", fingerprint="f00d")
    write_baselines(path, [other], {})
    run = run_own(f"--cnnbench-baseline={path}", "-k", "drop")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    (line,) = (line for line in run.output.splitlines() if line.startswith("ERROR: "))
    assert "--cnnbench-baseline: " in line
    assert re.search(r"fingerprint is '\w+' here and 'f00d' there", line)
    assert re.search(r"data_hash is '\w+' here and 'beef' there", line)
    assert "epochs" not in line
    assert line.endswith("Received: variant='documented'")
    assert "Traceback" not in run.output
    assert not run.reports


def test_a_baseline_of_the_sessions_own_seeds_is_one_clear_error(
    run_own, undecided: SuiteRun, tmp_path: Path
) -> None:
    path = tmp_path / "own.json"
    write_baselines(path, [baseline_of_something(undecided, first_seed=1)], {})
    run = run_own(f"--cnnbench-baseline={path}", "-k", "drop")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "was made with seeds that this session may train too" in run.output
    assert not run.reports
