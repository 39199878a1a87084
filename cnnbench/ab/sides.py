"""The two sides of a comparison, from what people write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnbench.ab.processes import Folder, own_harness
from cnnbench.ab.revisions import checked_out, commit_of, repository
from cnnbench.ab.settings import AB_OPTIONS
from cnnbench.machine.backends import require_backends
from cnnbench.models.variants import VARIANTS, Variant, variant_named

KEYS = ("rev", "variant", "batch_size", "threads", "backend")
TEMPLATE = Path("cnnbench/ab/template.py")


@dataclass(frozen=True)
class Side:
    """One side: what is measured, and where its code lies.

    Args:
        name: BASE or HEAD.
        variant: whose model.
        batch_size: pictures a step.
        threads: of its processes.
        backend: Keras backend.
        revision: git revision as it was written; `None` is the folder as it lies here.
        commit: full hash of it.
        folder: where its processes stand.
        harness: folder whose cnnbench measures it.
    """

    name: str
    variant: Variant
    batch_size: int = 32
    threads: int = 1
    backend: str = "tensorflow"
    revision: str | None = None
    commit: str | None = None
    folder: Folder = field(default_factory=lambda: Folder(Path.cwd()))
    harness: Path = field(default_factory=own_harness)

    def to_dict(self) -> dict[str, Any]:
        """Returns what identifies the side, without paths of this machine."""
        return {
            "name": self.name,
            "variant": self.variant.to_dict(),
            "fingerprint": self.variant.fingerprint(),
            "batch_size": self.batch_size,
            "threads": self.threads,
            "backend": self.backend,
            "revision": self.revision,
            "commit": self.commit,
        }

    def in_words(self) -> str:
        """Returns the side in a few words for people."""
        at = f" at {self.revision} ({(self.commit or '')[:10]})" if self.revision else ""
        return (
            f"{self.variant.name}{at}, batch size {self.batch_size}, {self.threads} "
            f"thread{'s' if self.threads > 1 else ''}, {self.backend}"
        )


def parse_side(text: str, default: Side, folder: Path) -> Side:
    """Reads a side: a variant, a git revision, or `key=value,key=value`.

    A variant's name wins over a branch of that name; `rev=NAME` means the branch.

    Args:
        text: what a person wrote.
        default: the side's name, and what is not written.
        folder: where they stand.

    Raises:
        ValueError: names the side, what was expected and every bad value.
    """
    if _is_pairs(text):
        return _from_pairs(text, default, folder)
    try:
        return replace(default, variant=variant_named(text))
    except ValueError:
        pass
    commit = commit_of(text, folder) if text else None
    if commit is None:
        raise ValueError(
            f"{default.name} is neither a variant nor a git revision of this folder. Expected one "
            f"of {', '.join(VARIANTS)}, your own model as package.module:function, a revision, or "
            f"key=value,key=value with the keys {', '.join(KEYS)}. Received: side={text!r}"
        )
    return replace(default, revision=text, commit=commit)


def _is_pairs(text: str) -> bool:
    key, equals, _ = text.partition("=")
    return bool(equals) and key.strip().isidentifier()


def _from_pairs(text: str, default: Side, folder: Path) -> Side:
    side, problems, seen = default, [], set()
    for word in text.split(","):
        key, equals, value = (part.strip() for part in word.partition("="))
        try:
            if key not in KEYS or not equals:
                raise ValueError(
                    f"expected key=value with one of the keys {', '.join(KEYS)}. "
                    f"Received: {word.strip()!r}"
                )
            if key in seen:
                raise ValueError(f"each key once. Received: {word.strip()!r}")
            seen.add(key)
            side = _with(side, key, value, folder)
        except ValueError as error:
            problems.append(f"{default.name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return side


def _with(side: Side, key: str, value: str, folder: Path) -> Side:
    if key == "rev":
        commit = commit_of(value, folder) if value else None
        if commit is None:
            raise ValueError(
                f"expected a git revision of the repository here. Received: rev={value!r}"
            )
        return replace(side, revision=value, commit=commit)
    if key == "variant":
        return replace(side, variant=variant_named(value))
    if key == "backend":
        require_backends((value,))
        return replace(side, backend=value)
    number = AB_OPTIONS[key].value(value, name=key)
    if key == "threads":
        return replace(side, threads=number)
    return replace(side, batch_size=number)


@contextmanager
def placed(sides: tuple[Side, ...], here: Path, scratch: Path) -> Iterator[tuple[Side, ...]]:
    """Puts each side's code where its processes can stand; removes it afterwards.

    Args:
        sides: as parsed.
        here: where the user stands; a revision is entered at the same place.
        scratch: folder for checkouts.

    Raises:
        ValueError: if a revision can't be measured; names the side and why.
        OSError: if git can't check it out.
    """
    with ExitStack() as stack:
        yield tuple(_placed(side, here.resolve(), scratch, stack) for side in sides)


def _placed(side: Side, here: Path, scratch: Path, stack: ExitStack) -> Side:
    if side.commit is None:
        return replace(side, folder=Folder(here))
    top = repository(here)
    assert top is not None, "a revision was found here"
    where = scratch / f"{side.name.lower()}-{side.commit[:10]}"
    worktree = stack.enter_context(checked_out(side.commit, top, where))
    root = worktree / here.relative_to(top)
    if not root.is_dir():
        raise ValueError(
            f"{side.name}: the folder that you stand in is not in this revision. "
            f"Received: rev={side.revision!r}, folder={str(here.relative_to(top))!r}"
        )
    folder = Folder(root, top, worktree)
    if not (worktree / "cnnbench" / "__init__.py").is_file():
        return replace(side, folder=folder)
    if not (worktree / TEMPLATE).is_file():
        raise ValueError(
            f"{side.name}: this revision is one of cnnbench itself, from before `cnnbench ab`, and "
            f"can't measure itself. Expected one with {TEMPLATE}. Received: rev={side.revision!r}"
        )
    return replace(side, folder=folder, harness=worktree)
