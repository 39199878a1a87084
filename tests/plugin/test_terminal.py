"""What people see, in a terminal of no more than 120 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cnnbench.plugin.terminal import Screen

TIMED = ("inference_throughput", "training_throughput", "run", "memorization", "shuffled_labels")
SPEEDS = "".join(f"def test_{name}(cnnbench_{name}): pass\n" for name in TIMED)


@pytest.fixture
def tables(world, own):
    """Returns the lines of pytest-benchmark's tables."""

    def run(tests: str, *arguments: str) -> list[str]:
        shown = own(tests, *arguments).output.partition("junit.xml -")[2]
        return shown.partition("Legend:")[0].strip().splitlines()

    return run


def test_tables_of_benchmarks_fit(world, tables):
    world.gpus = ("H", "H")
    variants = "--cnnbench-variants=early-stopping,three-blocks"
    lines = tables(SPEEDS, variants, "--cnnbench-devices=gpu:1")
    assert max(map(len, lines)) <= 120
    names = {line.split()[0] for line in lines if line}
    assert {"early-stopping-tensorflow-gpu:1-float32-32", "early-stopping-0"} <= names
    # Two tests of one group keep their names.
    assert {"memorization[three-blocks]", "shuffled_labels[three-blocks]"} <= names
    assert lines[1].split()[4:] == ["Min", "Median", "OPS", "Rounds"]


def test_columns_that_a_user_chose_stay(tables):
    assert tables(SPEEDS, "--benchmark-columns=mean")[1].split()[4:] == ["Mean"]


def test_tables_of_other_tests_stay(tables):
    assert "StdDev" in tables("def test_it(benchmark): benchmark.pedantic(int)")[1]


PICTURES = "tiny: 96 training and 48 held-out pictures"
PLAN = """
def test_run(cnnbench_run): pass
@pytest.mark.cnnbench(accuracy=0.1, accuracy_sd=0.001, accuracy_seeds=20)
def test_gate(cnnbench_accuracy): pass
"""


@pytest.fixture
def plan(world, own):
    """Returns the lines that come before anything runs."""

    def run(tests: str, *arguments: str) -> list[str]:
        lines = own(tests, *arguments).output.splitlines()
        return [line[10:] for line in lines if line.startswith("cnnbench: ") and "[" not in line]

    return run


def test_the_plan_is_three_short_lines(plan):
    pictures, *others = plan(PLAN, "--cnnbench-variants=wide,dropout", "--cnnbench-seeds=0-2")
    assert pictures.startswith(f"{PICTURES}; no GPU found; report: reports/")
    assert others == [
        "6 trainings planned (one-pass, 10 epochs)",
        "2 gates; chance of any false alarm: at most 0.01; if undecided, up to 10 more trainings",
    ]


def test_the_plan_counts_in_english(plan, monkeypatch):
    monkeypatch.setattr("cnnbench.session.options.auto_devices", lambda: ("cpu", "gpu"))
    pictures, *others = plan(PLAN, "--cnnbench-epochs=1", "--cnnbench-max-seeds=2")
    assert pictures.startswith(f"{PICTURES}; report: reports/")
    assert others[:2] == [
        "1 training planned (one-pass, 1 epoch)",
        "1 gate; chance of any false alarm: at most 0.01; if undecided, up to 1 more training",
    ]


@pytest.mark.parametrize(("flag", "lines"), [("-v", 1), ("-q", 1), ("-qq", 0)])
def test_pictures_alone_are_a_line_unless_it_is_very_quiet(plan, flag, lines):
    assert len(plan("def test_it(cnnbench_held_out): pass", flag)) == lines


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
def test_lines_are_calm_without_a_terminal(screen, monkeypatch, arguments, terminal, ci, live):
    monkeypatch.setenv("CI", ci)
    assert screen(*arguments, terminal=terminal)[0].is_live is live
