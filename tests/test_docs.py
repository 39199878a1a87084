"""The documents keep in step with the code, and stay short."""

import re
from pathlib import Path

import pytest

from cnnbench.ab.files import COLUMNS as PAIRS
from cnnbench.report.ratio_tables import COLUMNS as RATIOS
from cnnbench.report.tables import SCHEMA

ROOT = Path(__file__).parent.parent
TABLES = {
    **{f"{name}.csv": tuple(columns) for name, columns in SCHEMA.items()},
    "pairs.csv": PAIRS,
    "Ratios of speed": RATIOS,
}


def first_cells(page: str, title: str) -> list[str]:
    """Returns the names in backticks in the first column of the table below a title."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    _, found, section = text.partition(f"\n### {title}\n")
    assert found, f"docs/{page} has no section '### {title}'"
    section = re.split(r"\n#+ ", section)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_documented(name):
    documented = first_cells("reports.md", name)
    key = first_cells("reports.md", "key")
    if set(key) <= set(TABLES[name]) and not set(key) <= set(documented):
        documented += key
    assert sorted(documented) == sorted(TABLES[name]), (
        f"docs/reports.md, {name}: lacks {sorted(set(TABLES[name]) - set(documented))}, "
        f"has in excess {sorted(set(documented) - set(TABLES[name]))}"
    )


@pytest.mark.parametrize(("name", "most"), [("README.md", 1000), ("CONTRIBUTING.md", 700)])
def test_first_documents_are_short(name, most):
    assert len((ROOT / name).read_text(encoding="utf-8").split()) <= most
