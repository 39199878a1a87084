"""Write suites/, with targets.toml, and a CI workflow to edit."""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

WORKFLOW = Path(".github", "workflows", "cnnbench.yml")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="default: this folder"
    )


def run(parsed: argparse.Namespace) -> int:
    texts = {}
    for file in sorted(files("cnnbench.suites").iterdir(), key=lambda file: file.name):
        if file.name.endswith((".py", ".toml")) and file.name != "__init__.py":
            texts[parsed.folder / "suites" / file.name] = file.read_text(encoding="utf-8")
        elif file.name == WORKFLOW.name:
            texts[parsed.folder / WORKFLOW] = file.read_text(encoding="utf-8")
    present = [str(path) for path in texts if path.exists()]
    if present:
        raise FileExistsError(
            "Nothing is written, because these files exist: remove them, or name another folder. "
            f"Received: {', '.join(present)}"
        )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    print("next: edit suites/targets.toml, then run pytest suites --benchmark-only")
    return 0
