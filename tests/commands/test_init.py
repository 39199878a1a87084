"""`cnnbench init` writes what the suites are, for people to edit."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cnnbench.cli import main

SUITES = Path(__file__).parents[2] / "suites"


def test_init_writes_the_suites_their_thresholds_and_a_workflow(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "suites").iterdir()}
    expected = {path.name for path in SUITES.glob("*.py")} - {"__init__.py"} | {"targets.toml"}
    assert set(written) == expected
    assert all(text == (SUITES / name).read_text() for name, text in written.items())
    assert tomllib.loads(written["targets.toml"])["default"]
    workflow = (tmp_path / ".github/workflows/cnnbench.yml").read_text()
    assert "pytest suites --benchmark-only" in workflow


def test_init_writes_nothing_where_a_file_exists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/targets.toml").write_text("# mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "suites/targets.toml" in capsys.readouterr().err
    assert (tmp_path / "suites/targets.toml").read_text() == "# mine"
    assert not (tmp_path / ".github").exists()
