"""Throw-away git repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """Runs git as nobody in particular, with no configuration of the user's."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    own = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [*command, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**own, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )
    return done.stdout.strip()


def commit(top: Path, texts: Mapping[str, str], tag: str = "") -> None:
    """Commits these files, the first ones of a new repository too."""
    git(top, "init", "--quiet", "--initial-branch", "trunk")
    for name, text in texts.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message", "files")
    if tag:
        git(top, "tag", tag)
