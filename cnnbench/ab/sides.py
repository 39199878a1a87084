"""The two sides of a comparison, from what people write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnbench.ab.child import is_own
from cnnbench.ab.revisions import checked_out, commit_of, repository
from cnnbench.ab.settings import AB_OPTIONS
from cnnbench.machine.backends import TRAINING_BACKENDS, require_backends
from cnnbench.machine.place import Place
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.session.option_parsers import one_of
from cnnbench.session.option_table import Option

BACKEND = Option("backend", one_of(TRAINING_BACKENDS), "NAME", "of Keras")
KEYS = ("rev", "variant", "batch_size", "threads", "backend")
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

    def sys_path(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Returns where modules are looked for, given where Python would look otherwise."""
        found = [str(self.root)]
        for path in filter(None, paths):
            if self.working_copy and self.worktree and is_own(path, self.working_copy):
                inside = self.worktree / Path(path).resolve().relative_to(self.working_copy)
                if inside.is_dir():
                    found.append(str(inside))
            else:
                found.append(path)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Side:
    """One side: what is measured, and where its code is.

    Args:
        name: A or B.
        variant: whose model.
        place: backend, device and threads of its processes.
        batch_size: pictures per step.
        revision: git revision as it was written; `None` is the current folder.
        commit: its full hash.
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
        return self._identity() == other._identity()

    def _identity(self) -> tuple[object, ...]:
        return (self.variant, self.place, self.batch_size, self.commit)

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
        at = f" at {self.revision} ({(self.commit or '')[:10]})" if self.revision else ""
        threads = f"{self.place.threads} thread{'s' if self.place.threads > 1 else ''}"
        return (
            f"{self.variant.name}{at}, batch size {self.batch_size}, {threads}, "
            f"{self.place.backend}"
        )


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


def parse_side(text: str, default: Side, folder: Path) -> Side:
    """Reads a side: a variant, a git revision, or `key=value,key=value`.

    A variant's name wins over a branch of that name; `rev=NAME` means the branch.

    Args:
        text: what a person wrote.
        default: the side's name, and what is not written.
        folder: the current one.

    Raises:
        ValueError: names the side, what was expected and every bad value.
    """
    if "=" in text:
        return _from_pairs(text, default, folder)
    with suppress(ValueError):
        return replace(default, variant=variant_named(text))
    commit = commit_of(text, folder)
    if commit is None:
        raise ValueError(
            f"{default.name} is neither a variant nor a git revision of this folder. Expected one "
            f"of {', '.join(VARIANTS)}, your own model as package.module:function, a revision, or "
            f"key=value,key=value with the keys {', '.join(KEYS)}. Received: side={text!r}"
        )
    return replace(default, revision=text, commit=commit)


def _from_pairs(text: str, side: Side, folder: Path) -> Side:
    problems, seen = [], set()
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
            problems.append(f"{side.name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return side


def _with(side: Side, key: str, value: str, folder: Path) -> Side:
    if key == "rev":
        commit = commit_of(value, folder)
        if commit is None:
            raise ValueError(
                f"expected a git revision of the repository here. Received: rev={value!r}"
            )
        return replace(side, revision=value, commit=commit)
    if key == "variant":
        return replace(side, variant=variant_named(value))
    if key == "backend":
        require_backends((BACKEND.value(value, name=key),))
        return replace(side, place=replace(side.place, backend=value))
    number = AB_OPTIONS[key].value(value, name=key)
    if key == "threads":
        return replace(side, place=replace(side.place, threads=number))
    return replace(side, batch_size=number)


@contextmanager
def placed(sides: Iterable[Side], here: Path, scratch: Path) -> Iterator[list[Side]]:
    """Puts each side's code where its processes can work; removes it afterwards.

    Args:
        sides: as parsed.
        here: the current folder; the same one of a revision is entered.
        scratch: folder for checkouts.

    Raises:
        ValueError: if a revision can't be measured; names the side and why.
        OSError: if git can't check it out.
    """
    with ExitStack() as stack:
        yield [_placed(side, here.resolve(), scratch, stack) for side in sides]


def _placed(side: Side, here: Path, scratch: Path, stack: ExitStack) -> Side:
    if side.commit is None:
        return replace(side, folder=Folder(here))
    top = repository(here)
    assert top is not None, "a revision was found here"
    where = scratch / f"{side.name}-{side.commit[:10]}"
    worktree = stack.enter_context(checked_out(side.commit, top, where))
    root = worktree / here.relative_to(top)
    if not root.is_dir():
        raise ValueError(
            f"{side.name}: the current folder is not in this revision. "
            f"Received: rev={side.revision!r}, folder={str(here.relative_to(top))!r}"
        )
    folder = Folder(root, top, worktree)
    if not (worktree / "cnnbench" / "__init__.py").is_file():
        return replace(side, folder=folder)
    if not (worktree / TEMPLATE).is_file():
        raise ValueError(
            f"{side.name}: this revision of cnnbench itself is older than `cnnbench ab` and can't "
            f"measure itself. Expected one with {TEMPLATE}. Received: rev={side.revision!r}"
        )
    return replace(side, folder=folder, harness=worktree)
