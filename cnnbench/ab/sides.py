"""The two sides of a comparison, from what people write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnbench.ab.revisions import checked_out, commit_of, repository
from cnnbench.ab.settings import AB_OPTIONS
from cnnbench.ab.steps import is_own
from cnnbench.machine.backends import TRAINING_BACKENDS, Place, require_backends
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.session.option_table import Option, one_of

KEYS = "rev, variant, batch_size, threads, backend"
BACKEND = Option("backend", one_of(TRAINING_BACKENDS), "NAME", "of Keras")
TEMPLATE = Path("cnnbench/ab/template.py")
OWN_HARNESS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Folder:
    """Where a process works and imports a user's modules from.

    For a revision, whatever would be imported from `working_copy` is imported from `worktree`.
    """

    root: Path
    working_copy: Path | None = None
    worktree: Path | None = None

    def sys_path(self, paths: Iterable[str]) -> list[str]:
        """Returns where modules are looked for, given where Python would look otherwise."""
        found = [str(self.root)]
        for path in filter(None, paths):
            if self.working_copy and self.worktree and is_own(path, self.working_copy):
                inside = self.worktree / Path(path).resolve().relative_to(self.working_copy)
                found += [str(inside)] if inside.is_dir() else []
            else:
                found.append(path)
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Side:
    """One side: what is measured, and where its code is.

    Args:
        name: A or B.
        variant: whose model.
        place: backend, device and threads of its processes.
        batch_size: pictures per step.
        revision, commit: git revision as it was written, and its full hash; `None` is the current
            folder.
        folder: where its processes work.
        harness: folder whose cnnbench measures it.
    """

    name: str
    variant: Variant
    place: Place
    batch_size: int = 32
    revision: str | None = None
    commit: str | None = None
    folder: Folder = field(default_factory=lambda: Folder(Path.cwd()))
    harness: Path = OWN_HARNESS

    def equals(self, other: Side) -> bool:
        """Returns whether nothing but chance can make a difference between two sides."""
        names = ("variant", "place", "batch_size", "commit")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Returns what identifies the side, without paths of this machine."""
        return {
            "name": self.name,
            "text": self.in_words(),
            "variant": asdict(self.variant),
            "fingerprint": self.variant.fingerprint(),
            **asdict(self.place),
            "batch_size": self.batch_size,
            "revision": self.revision,
            "commit": self.commit,
        }

    def in_words(self) -> str:
        at = f" at {self.revision} ({self.commit[:10]})" if self.commit else ""
        many = "s" if self.place.threads > 1 else ""
        where = f"{self.place.threads} thread{many}, {self.place.backend}"
        return f"{self.variant.name}{at}, batch size {self.batch_size}, {where}"


def parse_sides(a: str, b: str | None, default: Side, here: Path) -> tuple[Side, Side]:
    """Reads A and B; without B, B is the current folder.

    Raises:
        ValueError: names everything that is wrong at once.
    """
    sides, problems = [], []
    for name, text in (("A", a), ("B", b)):
        side = replace(default, name=name)
        try:
            sides.append(side if text is None else parse_side(text, side, here))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    if b is None and sides[0].equals(sides[1]):
        raise ValueError(
            "A and B are equal, so only noise would be measured. Expected another B, or a B that "
            f"says the same on purpose. Received: A={a!r}, B=None"
        )
    return sides[0], sides[1]


def parse_side(text: str, default: Side, here: Path) -> Side:
    """Reads a side: a variant, a git revision, or `key=value,key=value`.

    A variant's name wins over a branch of that name; `rev=NAME` means the branch. What the text
    does not say is that of `default`.

    Raises:
        ValueError: names the side, what was expected and every bad value.
    """
    if "=" not in text:
        with suppress(ValueError):
            return replace(default, variant=variant_named(text))
        commit = commit_of(text, here)
        if commit is None:
            raise ValueError(
                f"{default.name} is neither a variant nor a git revision of this folder. Expected "
                f"one of {', '.join(VARIANTS)}, your own model as package.module:function, a "
                f"revision, or key=value,key=value with the keys {KEYS}. Received: side={text!r}"
            )
        return replace(default, revision=text, commit=commit)
    side, problems = default, []
    for word in text.split(","):
        key, _, value = word.partition("=")
        try:
            side = _with(side, key.strip(), value.strip(), here)
        except ValueError as error:
            problems.append(f"{default.name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return side


def _with(side: Side, key: str, value: str, here: Path) -> Side:
    match key:
        case "rev":
            commit = commit_of(value, here)
            if commit is None:
                raise ValueError(f"expected a git revision of this folder. Received: rev={value!r}")
            return replace(side, revision=value, commit=commit)
        case "variant":
            return replace(side, variant=variant_named(value))
        case "batch_size":
            return replace(side, batch_size=AB_OPTIONS[key].value(value, name=key))
        case "threads":
            threads = AB_OPTIONS[key].value(value, name=key)
            return replace(side, place=replace(side.place, threads=threads))
        case "backend":
            require_backends((BACKEND.value(value, name=key),))
            return replace(side, place=replace(side.place, backend=value))
    raise ValueError(f"expected key=value with one of the keys {KEYS}. Received: key={key!r}")


@contextmanager
def placed(sides: Iterable[Side], here: Path, scratch: Path) -> Iterator[list[Side]]:
    """Checks revisions out into `scratch`, and removes them afterwards.

    A side's processes work where `here` is in its revision.

    Raises:
        ValueError: if a revision can't be measured; names the side and why.
    """
    with ExitStack() as stack:
        yield [_placed(side, here.resolve(), scratch, stack) for side in sides]


def _placed(side: Side, here: Path, scratch: Path, stack: ExitStack) -> Side:
    if side.commit is None:
        return replace(side, folder=Folder(here))
    top = repository(here)
    worktree = stack.enter_context(checked_out(side.commit, top, scratch / side.name))
    root = worktree / here.relative_to(top)
    if not root.is_dir():
        raise ValueError(
            f"{side.name}: the current folder is not in this revision. "
            f"Received: rev={side.revision!r}, folder={str(here.relative_to(top))!r}"
        )
    side = replace(side, folder=Folder(root, top, worktree))
    if not (worktree / "cnnbench" / "__init__.py").is_file():
        return side
    if not (worktree / TEMPLATE).is_file():
        raise ValueError(
            f"{side.name}: this revision of cnnbench itself is older than `cnnbench ab` and can't "
            f"measure itself. Expected one with {TEMPLATE}. Received: rev={side.revision!r}"
        )
    return replace(side, harness=worktree)
