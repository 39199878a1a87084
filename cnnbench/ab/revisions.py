"""Git revisions: which commit a name means, and its files in a folder of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Set inside a git hook, where they would point these commands at another checkout.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def repository(folder: Path) -> Path:
    """Returns the top of the checkout that holds a folder."""
    return Path(_git(folder, "rev-parse", "--show-toplevel")).resolve()


def commit_of(revision: str, folder: Path) -> str | None:
    """Returns the full hash of the commit that a revision names in a folder's repository."""
    name = f"{revision}^{{commit}}"
    try:
        return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
    except OSError:
        return None


@contextmanager
def checked_out(commit: str, top: Path, where: Path) -> Iterator[Path]:
    """Checks a commit of a repository out into a new folder, which is removed afterwards."""
    # The user's hooks are for their own checkout: some build, some ask for a password.
    no_hooks = f"core.hooksPath={os.devnull}"
    _git(top, "-c", no_hooks, "worktree", "add", "--quiet", "--detach", str(where), commit)
    try:
        yield where.resolve()
    finally:
        _git(top, "worktree", "remove", "--force", "--force", str(where))


def _git(folder: Path, *arguments: str) -> str:
    """Runs git and returns what it prints; the message of an OSError has what it complains of."""
    environment = {k: v for k, v in os.environ.items() if k not in _HOOK_VARIABLES}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode != 0:
        raise OSError(f"git failed: {done.stderr.strip()}. Received: {' '.join(arguments)}")
    return done.stdout.strip()
