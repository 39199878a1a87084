"""What is compared: the options, two sides from what people write, and where their code is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, require_backends
from cnnbench.machine.environment import git
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.records.records import Workload
from cnnbench.session import options
from cnnbench.session.options import at_least, fraction, one_of, option, rate, seconds

ClockName = Literal["wall", "cpu"]  # CPU time leaves out all waiting


@dataclass(frozen=True)
class Settings:
    """The options of a comparison."""

    workload: Workload = option(
        "train", one_of(("train", "inference")), "NAME", "train or inference"
    )
    device: str = option("cpu", one_of(("cpu", "gpu")), "NAME", "cpu or gpu")
    clock: ClockName = option("wall", one_of(("wall", "cpu")), "NAME", "wall, or cpu: CPU time")
    batch_size: int = option(32, at_least(1), "N", "pictures per step")
    threads: int = option(1, at_least(1), "N", "of each process; 1 is the least noisy")
    min_effect: float = option(0.03, fraction, "SHARE", "smallest slowdown that matters")
    alpha: float = option(0.01, rate, "RATE", "chance that B fails although not slower")
    beta: float = option(0.05, rate, "RATE", "chance that B passes although slower")
    pairs: int = option(5, at_least(3), "N", "pairs before the first look")
    max_pairs: int = option(30, at_least(3), "N", "most pairs")
    budget: float | None = option(
        None, seconds, "SECONDS", "after two pairs, none is started that would end later"
    )
    seed: int = option(0, at_least(0), "SEED", "of weights, batches and orders")


AB_OPTIONS = options.options_in(Settings)
BACKEND = options.Option("backend", one_of(TRAINING_BACKENDS), "NAME", "of Keras")
OWN_HARNESS = Path(__file__).resolve().parents[2]
KEYS = "rev, variant, batch_size, threads, backend"


def settings_from(texts: Mapping[str, str | None]) -> Settings:
    """Returns the settings for the texts that were given; `None` means the default."""
    given = {name: text for name, text in texts.items() if text is not None}
    settings = Settings(**options.parse_all(AB_OPTIONS, given, prefix="--"))
    if settings.max_pairs < settings.pairs:
        raise ValueError(
            "--max-pairs: expected at least as many as --pairs. "
            f"Received: pairs={settings.pairs}, max_pairs={settings.max_pairs}"
        )
    if settings.clock == "cpu" and settings.device == "gpu":
        raise ValueError(
            "--clock: expected wall for a GPU, whose work takes no CPU time. "
            f"Received: clock={settings.clock!r}, device={settings.device!r}"
        )
    return settings


@dataclass(frozen=True)
class Folder:
    """Where a process works, `harness` being where it imports cnnbench from.

    For a revision, whatever would be imported from `working_copy` is imported from `worktree`.
    """

    root: Path
    working_copy: Path | None = None
    worktree: Path | None = None
    harness: Path = OWN_HARNESS

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
    """One side, A or B: what is measured, and where its code is.

    `revision` is a git revision as it was written, `commit` its full hash; both are `None` for the
    current folder.
    """

    name: str
    variant: Variant
    place: Place
    batch_size: int = 32
    revision: str | None = None
    commit: str | None = None
    folder: Folder = field(default_factory=lambda: Folder(Path.cwd()))

    def __str__(self) -> str:
        at = f" at {self.revision} ({self.commit[:10]})" if self.commit else ""
        many = "s" if self.place.threads > 1 else ""
        where = f"{self.place.threads} thread{many}, {self.place.backend}"
        return f"{self.variant.name}{at}, batch size {self.batch_size}, {where}"

    def equals(self, other: Side) -> bool:
        """Returns whether nothing but chance can make a difference between two sides."""
        names = ("variant", "place", "batch_size", "commit")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Returns what identifies the side, without paths of this machine."""
        data = {"fingerprint": self.variant.fingerprint(), **asdict(self)}
        del data["folder"]
        return data


def parse_sides(a: str, b: str | None, default: Side, here: Path) -> tuple[Side, Side]:
    """Reads A and B: each a variant, a git revision, or `key=value,key=value`.

    A variant's name wins over a branch of that name; `rev=NAME` means the branch. What a text does
    not say is that of `default`; without B, B is the current folder. A `ValueError` names
    everything that is wrong at once.
    """
    sides, problems = [], []
    for name, text in (("A", a), ("B", b)):
        side = replace(default, name=name)
        if text is not None:
            for word in text.split(",") if "=" in text else [f"={text}"]:
                key, _, value = word.partition("=")
                try:
                    side = _with(side, key.strip(), value.strip(), here)
                except ValueError as error:
                    problems.append(f"{name}: {error}")
        sides.append(side)
    if problems:
        raise ValueError("\n".join(problems))
    if b is None and sides[0].equals(sides[1]):
        raise ValueError(
            "A and B are equal, so only noise would be measured. Expected another B, or a B that "
            f"says the same on purpose. Received: A={a!r}, B=None"
        )
    return sides[0], sides[1]


def _with(side: Side, key: str, value: str, here: Path) -> Side:
    """Returns a side that differs in one thing; without a key it is a variant or a revision."""
    match key:
        case "variant":
            return replace(side, variant=variant_named(value))
        case "rev":
            if commit := commit_of(value, here):
                return replace(side, revision=value, commit=commit)
            raise ValueError(f"expected a git revision of this folder. Received: rev={value!r}")
        case "":
            for each in ("variant", "rev"):
                with suppress(ValueError):
                    return _with(side, each, value, here)
            raise ValueError(
                f"expected one of {', '.join(VARIANTS)}, your own model as package.module:function,"
                f" a git revision of this folder, or key=value,key=value with the keys {KEYS}. "
                f"Received: side={value!r}"
            )
        case "batch_size":
            return replace(side, batch_size=AB_OPTIONS[key].value(value, name=key))
        case "threads":
            threads = AB_OPTIONS[key].value(value, name=key)
            return replace(side, place=replace(side.place, threads=threads))
        case "backend":
            require_backends((BACKEND.value(value, name=key),))
            return replace(side, place=replace(side.place, backend=value))
    raise ValueError(f"expected key=value with one of the keys {KEYS}. Received: key={key!r}")


def commit_of(revision: str, folder: Path) -> str | None:
    """Returns the full hash of the commit that a revision names in a folder's repository."""
    name = f"{revision}^{{commit}}"
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
    except OSError:
        return None


@contextmanager
def placed(sides: Iterable[Side], here: Path) -> Iterator[list[Side]]:
    """Gives sides their folders: that of `here` in their revisions, which are removed afterwards.

    A `ValueError` says why a revision can't be measured.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="cnnbench-"))).resolve()
        found = []
        for side in sides:
            folder = Folder(here)
            if side.commit is not None:
                worktree = _checked_out(side.name, side.commit, here, scratch)
                folder = stack.enter_context(worktree)
            found.append(replace(side, folder=folder))
        yield found


@contextmanager
def _checked_out(name: str, commit: str, here: Path, scratch: Path) -> Iterator[Folder]:
    worktree = scratch / name
    top = Path(git(here, "rev-parse", "--show-toplevel")).resolve()
    # The user's hooks are for their own checkout: some build, some ask for a password.
    no_hooks = f"core.hooksPath={os.devnull}"
    git(top, "-c", no_hooks, "worktree", "add", "--quiet", "--detach", str(worktree), commit)
    try:
        inside = here.resolve().relative_to(top)
        if not (worktree / inside).is_dir():
            raise ValueError(
                f"{name}: the current folder is not in this revision. "
                f"Received: commit={commit!r}, folder={str(inside)!r}"
            )
        harness = worktree if (worktree / "cnnbench/__init__.py").is_file() else OWN_HARNESS
        if not (harness / "cnnbench/ab/template.py").is_file():
            raise ValueError(
                f"{name}: this revision of cnnbench itself is older than `cnnbench ab` and can't "
                f"measure itself. Received: commit={commit!r}"
            )
        yield Folder(worktree / inside, top, worktree, harness)
    finally:
        git(top, "worktree", "remove", "--force", "--force", str(worktree))


def is_own(path: str, working_copy: Path) -> bool:
    """Returns whether a path is the working copy's own; Python's environment may lie inside."""
    real = Path(path).resolve()
    prefixes = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return real.is_relative_to(working_copy) and not any(map(real.is_relative_to, prefixes))


def strays(working_copy: Path) -> list[str]:
    """Returns the modules that come from the working copy and not from the revision."""
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in ("cnnbench", "__main__")
        and (path := getattr(module, "__file__", None))
        and is_own(path, working_copy)
    )
