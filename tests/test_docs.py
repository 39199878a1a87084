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
COMMANDS = ("init", "show", "train", "predict", "ab", "baseline", "calibrate", "compare", "pack")
TRUTH = pd.Series({"a.jpg": "cats", "b.jpg": "dogs"})
RECIPE = Recipe("A", "pets", "c0ffee", TRUTH, given=pd.DataFrame({0: TRUTH, 1: TRUTH}))
TESTS = re.findall(r"def test_(\w+)", "".join(p.read_text() for p in ROOT.glob("suites/test_*.py")))
# What the tables of the documents have in their first columns, by page and title.
TABLES = {
    **{("reports.md", f"{name}.csv"): columns for name, columns in SCHEMA.items()},
    ("reports.md", "pairs.csv"): PAIRS,
    ("reports.md", "Ratios of speed"): RATIO_COLUMNS,
    ("reports.md", "Answers"): question_frame([RecipeComparison(RECIPE, RECIPE)]),
    ("command-line.md", "Options"): [option.flag for option in OPTIONS.values()],
    ("verdicts.md", "Thresholds"): PROPERTIES,
    ("verdicts.md", "What is checked"): {n for n in TESTS if not n.endswith("_throughput")},
}


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
    return set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE))


@pytest.mark.parametrize(("page", "title"), TABLES)
def test_tables_are_complete(page, title):
    assert sorted(documented(page, title)) == sorted(TABLES[page, title])


def test_run_has_the_options_of_pytest(capsys):
    assert flags_of("run", capsys) == {f"--{option.stem}" for option in OPTIONS.values()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_documented(command, capsys):
    names = documented("command-line.md", command)
    assert {name for name in names if name.startswith("--")} == flags_of(command, capsys)


@pytest.mark.parametrize(("name", "most"), [("README.md", 1000), ("CONTRIBUTING.md", 700)])
def test_first_documents_are_short(name, most):
    assert len((ROOT / name).read_text(encoding="utf-8").split()) <= most
