"""`cnnbench init`: suites, thresholds and a CI workflow for people to edit."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path
from typing import Any

WORKFLOW = Path(".github", "workflows", "cnnbench.yml")


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "init", help="write suites/, with targets.toml, and a CI workflow to edit"
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: this folder"
    )
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    texts = _texts()
    present = [str(path) for path in texts if (parsed.folder / path).exists()]
    if present:
        raise FileExistsError(
            "Nothing is written, because these files exist: remove them, or name another folder. "
            f"Received: {', '.join(present)}"
        )
    for path, text in texts.items():
        target = parsed.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target)
    print("next: edit suites/targets.toml, then run pytest suites --benchmark-only")
    return 0


def _texts() -> dict[Path, str]:
    """Returns the installed suites and workflow, by the path to write them to."""
    found = {}
    for file in sorted(files("cnnbench.suites").iterdir(), key=lambda file: file.name):
        if file.name.endswith((".py", ".toml")) and file.name != "__init__.py":
            found[Path("suites", file.name)] = file.read_text(encoding="utf-8")
        elif file.name == WORKFLOW.name:
            found[WORKFLOW] = file.read_text(encoding="utf-8")
    return found
