"""The numbers that a comparison is run with, from what people write."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from cnnbench.measurements import Workload

if TYPE_CHECKING:
    from cnnbench.ab.verdict import Rule


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected {' or '.join(names)}")
        return text

    return parse


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return int(text)

    return parse


def _between(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low < value < high:
            raise ValueError(
                f"expected a number above {low:g}"
                + (f" and below {high:g}" if math.isfinite(high) else "")
            )
        return value

    return parse


@dataclass(frozen=True)
class Flag:
    """One flag of `cnnbench ab`; its name has dashes for underscores."""

    parse: Callable[[str], Any]
    metavar: str
    help: str


FLAGS = {
    "workload": Flag(_one_of("train", "inference"), "NAME", "train (default) or inference"),
    "device": Flag(_one_of("cpu", "gpu"), "NAME", "cpu (default) or gpu"),
    "clock": Flag(
        _one_of("wall", "cpu"),
        "NAME",
        "wall (default), or cpu: CPU seconds, for a machine that others keep busy; they leave out "
        "all waiting",
    ),
    "batch_size": Flag(_at_least(1), "N", "pictures a step; default: 32"),
    "threads": Flag(_at_least(1), "N", "threads of each process; default: 1, the least noise"),
    "min_effect": Flag(
        _between(0, 1), "SHARE", "share of time from which on a slowdown matters; default: 0.03"
    ),
    "alpha": Flag(
        _between(0, 0.5), "RATE", "chance that a HEAD that is not slower fails; default: 0.01"
    ),
    "beta": Flag(
        _between(0, 0.5), "RATE", "chance that one slower by that share passes; default: 0.05"
    ),
    "pairs": Flag(_at_least(3), "N", "pairs before the first look; default: 5"),
    "max_pairs": Flag(_at_least(3), "N", "pairs at most; default: 30"),
    "budget": Flag(_between(0, math.inf), "SECONDS", "no pair is begun that would end later"),
    "seed": Flag(_at_least(0), "SEED", "of weights, batches and orders; default: 0"),
}


@dataclass(frozen=True)
class Settings:
    """What a comparison is run with; `FLAGS` says what each is."""

    workload: Workload = "train"
    device: str = "cpu"
    clock: str = "wall"
    batch_size: int = 32
    threads: int = 1
    min_effect: float = 0.03
    alpha: float = 0.01
    beta: float = 0.05
    pairs: int = 5
    max_pairs: int = 30
    budget: float | None = None
    seed: int = 0

    def rule(self) -> Rule:
        """Returns the rule of the verdict."""
        from cnnbench.ab.verdict import Rule  # SciPy: not for whoever only asks for help
        from cnnbench.stats.sequential import look_plan

        return Rule(
            looks=look_plan(self.pairs, self.max_pairs),
            alpha=self.alpha,
            beta=self.beta,
            min_effect=self.min_effect,
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the values as plain data."""
        return asdict(self)


assert set(FLAGS) == {field.name for field in fields(Settings)}


def settings_from(texts: Mapping[str, str | None]) -> Settings:
    """Returns the settings for the texts that were given; `None` means the default.

    Raises:
        ValueError: names every bad value at once.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, text in texts.items():
        if text is None:
            continue
        try:
            values[name] = FLAGS[name].parse(text)
        except ValueError as error:
            problems.append(f"--{name.replace('_', '-')}: {error}. Received: {text!r}")
    if not problems:
        settings = Settings(**values)
        problems = _together(settings)
        if not problems:
            return settings
    raise ValueError("\n".join(problems))


def _together(settings: Settings) -> list[str]:
    """Returns what is wrong with values that are good each on its own."""
    problems = []
    if settings.max_pairs < settings.pairs:
        problems.append(
            "--max-pairs: expected at least as many as --pairs. "
            f"Received: pairs={settings.pairs}, max_pairs={settings.max_pairs}"
        )
    if settings.clock == "cpu" and settings.device == "gpu":
        problems.append(
            "--clock: expected wall for a GPU, whose work takes no CPU time. "
            f"Received: clock={settings.clock!r}, device={settings.device!r}"
        )
    return problems
