"""What people see, in a terminal of no more than 120 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cnnbench.plugin.terminal import Screen

SPEEDS = """
def test_inference_throughput(cnnbench_inference_throughput): pass
def test_training_throughput(cnnbench_training_throughput): pass
def test_finished(cnnbench_run): pass
def test_memorization(cnnbench_memorization): pass
def test_shuffled_labels(cnnbench_shuffled_labels): pass
"""


def tables(output: str) -> list[str]:
    """Returns the lines of pytest-benchmark's tables."""
    lines = output.splitlines()
    first = next(n for n, line in enumerate(lines) if line.lstrip("- ").startswith("benchmark '"))
    return lines[first : lines.index("Legend:")]


def test_tables_of_benchmarks_fit(world, own):
    world.gpus = ("H", "H")
    variants = "early-stopping,three-blocks"
    lines = tables(
        own(SPEEDS, f"--cnnbench-variants={variants}", "--cnnbench-devices=gpu:1").output
    )
    assert max(map(len, lines)) <= 120
    names = {line.split()[0] for line in lines if line and line[0].isalpha()} - {"Name"}
    assert "early-stopping-tensorflow-gpu:1-float32-32" in names
    assert "early-stopping-0" in names
    # Two tests of one group keep their names.
    assert {"memorization[three-blocks]", "shuffled_labels[three-blocks]"} <= names
    titles = [line.split() for line in lines if line.startswith("Name (time in s)")]
    assert titles[0][4:] == ["Min", "Median", "OPS", "Rounds"]


def test_columns_that_a_user_chose_stay(world, own):
    lines = tables(own(SPEEDS, "--benchmark-columns=mean", "--cnnbench-variants=wide").output)
    (title, *_) = [line.split() for line in lines if line.startswith("Name (time in s)")]
    assert title[4:] == ["Mean"]


def test_tables_of_other_tests_stay(own):
    assert "StdDev" in own("def test_it(benchmark): benchmark.pedantic(int)\n").output


PLAN = """
def test_run(cnnbench_run): pass
@pytest.mark.cnnbench(accuracy=0.1, accuracy_sd=0.001, accuracy_seeds=20)
def test_gate(cnnbench_accuracy): pass
"""


def plan(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.startswith("cnnbench: ")]
    return [line.removeprefix("cnnbench: ") for line in lines if "[" not in line]


def test_the_plan_is_three_short_lines(world, own):
    found = plan(own(PLAN, "--cnnbench-variants=wide,dropout", "--cnnbench-seeds=0-2").output)
    pictures = "tiny: 96 training and 48 held-out pictures; no GPU found; report: reports/"
    assert found[0].startswith(pictures)
    assert found[1:] == [
        "6 trainings planned (one-pass, 10 epochs)",
        "2 gates; chance of any false alarm: at most 0.01; if undecided, up to 10 more trainings",
    ]


def test_the_plan_counts_in_english(world, own, monkeypatch):
    monkeypatch.setattr("cnnbench.session.options.auto_devices", lambda: ("cpu", "gpu"))
    run = own(PLAN, "--cnnbench-epochs=1", "--cnnbench-max-seeds=2")
    assert plan(run.output)[0].startswith("tiny: 96 training and 48 held-out pictures; report: ")
    assert plan(run.output)[1:3] == [
        "1 training planned (one-pass, 1 epoch)",
        "1 gate; chance of any false alarm: at most 0.01; if undecided, up to 1 more training",
    ]


@pytest.mark.parametrize(("flags", "lines"), [((), 1), (("-q",), 1), (("-qq",), 0)])
def test_pictures_alone_are_a_line_unless_it_is_very_quiet(world, own, flags, lines):
    assert len(plan(own("def test_it(cnnbench_held_out): pass", *flags).output)) == lines


# A line that shows what is waited for


@pytest.fixture
def screen(pytester, monkeypatch):
    """Makes a screen, with pytest's writer and the text of the terminal."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def make(*arguments: str, terminal: bool = True):
        config = pytester.parseconfigure(*arguments)
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal, width=40)
        return Screen(config, console), config.get_terminal_writer(), text

    return make


def test_a_waiting_line_leaves_pytests_line_as_it_was(screen):
    made, writer, text = screen()
    writer.write("test_own.py ..")
    made.show("training wide seed 0 (epoch 3/10), and more")
    made.show("training wide seed 0 (epoch 4/10), and more")
    assert text.getvalue().startswith("\n")
    assert text.getvalue().endswith("cnnbench: training wide seed 0 (epoch 4…")
    made.show("")
    to_its_end = "\x1b[15G\x1b[1A"  # to column 15, one line up
    assert text.getvalue().endswith(f"\x1b[2K{to_its_end}")  # after the waiting line was erased
    made.show("")
    assert text.getvalue().count(to_its_end) == 1


@pytest.mark.parametrize(
    ("arguments", "terminal", "ci", "live"),
    [
        ((), True, "", True),
        (("-v",), True, "", True),
        (("-q",), True, "", False),
        ((), False, "", False),
        ((), True, "true", False),
    ],
)
def test_lines_are_calm_where_there_is_no_terminal(
    screen, monkeypatch, arguments, terminal, ci, live
):
    monkeypatch.setenv("CI", ci)
    assert screen(*arguments, terminal=terminal)[0].is_live is live
