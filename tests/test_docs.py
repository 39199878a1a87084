"""The documents keep in step with the code, and stay short."""

import re
from pathlib import Path

import pandas as pd
import pytest

from cnnbench.ab.pairs import COLUMNS as PAIRS
from cnnbench.cli import main
from cnnbench.comparing.ratio_views import RATIO_COLUMNS
from cnnbench.comparing.recipes import Recipe, RecipeComparison, question_frame
from cnnbench.report.tables import SCHEMA
from cnnbench.session.options import OPTIONS
from cnnbench.verdicts.targets import PROPERTIES

ROOT = Path(__file__).parent.parent
TABLES = {
    **{f"{name}.csv": tuple(columns) for name, columns in SCHEMA.items()},
    "pairs.csv": PAIRS,
    "Ratios of speed": RATIO_COLUMNS,
}
COMMANDS = ("init", "show", "train", "predict", "ab", "baseline", "calibrate", "compare", "pack")


def documented(page, title):
    """Returns the names in backticks in the first column of the table below a title."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    sections = re.split(rf"\n#+ {title}\n", text)
    assert len(sections) == 2, f"docs/{page}: expected one section {title!r}"
    section = re.split(r"\n#+ ", sections[1])[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    return [*documented(page, "key"), *names] if "The key, and:" in section else names


def flags_of(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    flags = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE)
    return set(flags)


def assert_same(page, title, found, expected):
    lacking, excess = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    where = f"docs/{page}, section {title!r}"
    assert sorted(found) == sorted(expected), f"{where}: add {lacking}, remove {excess}"


@pytest.mark.parametrize("title", TABLES)
def test_every_column_is_documented(title):
    assert_same("reports.md", title, documented("reports.md", title), TABLES[title])


def test_every_column_of_answers_is_documented():
    truth = pd.Series({"a.jpg": "cats", "b.jpg": "dogs"})
    recipe = Recipe("A", "pets", "c0ffee", truth, given=pd.DataFrame({0: truth, 1: truth}))
    row = question_frame([RecipeComparison(recipe, recipe)])
    assert_same("reports.md", "Answers", documented("reports.md", "Answers"), row)


def test_every_option_of_pytest_is_documented():
    found = documented("command-line.md", "Options")
    assert_same("command-line.md", "Options", found, [one.flag for one in OPTIONS.values()])


def test_run_has_the_options_of_pytest(capsys):
    assert flags_of("run", capsys) == {f"--{option.stem}" for option in OPTIONS.values()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_documented(command, capsys):
    found = [name for name in documented("command-line.md", command) if name.startswith("--")]
    assert_same("command-line.md", command, found, flags_of(command, capsys))


def test_every_threshold_is_documented():
    assert_same("verdicts.md", "Thresholds", documented("verdicts.md", "Thresholds"), PROPERTIES)


def test_every_check_is_documented():
    suites = [*ROOT.glob("suites/test_*.py"), *ROOT.glob("cnnbench/suites/test_*.py")]
    tests = re.findall(r"def test_(\w+)", "".join(path.read_text() for path in suites))
    checks = {name for name in tests if not name.endswith("_throughput")}
    assert_same(
        "verdicts.md", "What is checked", documented("verdicts.md", "What is checked"), checks
    )


@pytest.mark.parametrize(("name", "most"), [("README.md", 1000), ("CONTRIBUTING.md", 700)])
def test_first_documents_are_short(name, most):
    assert len((ROOT / name).read_text(encoding="utf-8").split()) <= most
