"""Git revisions: which commit a name means, and its files in a folder of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Set inside a git hook, where they would point these commands at another checkout.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


def repository(folder: Path) -> Path | None:
    """Returns the top of the checkout that holds a folder."""
    done = _git(folder, "rev-parse", "--show-toplevel")
    return Path(done.stdout.strip()).resolve() if done and done.returncode == 0 else None


def commit_of(revision: str, folder: Path) -> str | None:
    """Returns the full hash of the commit that a revision names in a folder's repository."""
    name = f"{revision}^{{commit}}"
    done = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
    return done.stdout.strip() if done and done.returncode == 0 else None


@contextmanager
def checked_out(commit: str, top: Path, where: Path) -> Iterator[Path]:
    """Checks a commit out into a new folder, which is removed afterwards.

    Args:
        commit: full hash.
        top: a checkout of the repository.
        where: the folder to make.

    Raises:
        OSError: if git can't; the message holds what it says.
    """
    # The user's hooks are for their own checkout: some build, some ask for a password.
    added = _git(
        top,
        "-c",
        f"core.hooksPath={os.devnull}",
        "worktree",
        "add",
        "--quiet",
        "--detach",
        str(where),
        commit,
    )
    if added is None or added.returncode != 0:
        said = added.stderr.strip() if added else "there is no git"
        raise OSError(f"git can't check a revision out: {said}. Received: commit={commit!r}")
    try:
        yield where.resolve()
    finally:
        _git(top, "worktree", "remove", "--force", "--force", str(where))
        _git(top, "worktree", "prune")


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    environment = {k: v for k, v in os.environ.items() if k not in _HOOK_VARIABLES}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, env=environment
        )
    except OSError:
        return None  # no git here
