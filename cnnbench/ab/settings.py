"""The options of a comparison, and their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cnnbench.records.records import Workload
from cnnbench.session.option_table import (
    Option,
    at_least,
    fraction,
    one_of,
    parse_all,
    rate,
    seconds,
)

ClockName = Literal["wall", "cpu"]

AB_OPTIONS = {
    option.field: option
    for option in (
        Option("workload", one_of(("train", "inference")), "NAME", "train (default) or inference"),
        Option("device", one_of(("cpu", "gpu")), "NAME", "cpu (default) or gpu"),
        Option("clock", one_of(("wall", "cpu")), "NAME", "wall (default), or cpu: CPU time"),
        Option("batch_size", at_least(1), "N", "pictures per step; default: 32"),
        Option("threads", at_least(1), "N", "of each process; default: 1, the least noise"),
        Option("min_effect", fraction, "SHARE", "smallest slowdown that matters; default: 0.03"),
        Option("alpha", rate, "RATE", "chance that B fails although not slower; default: 0.01"),
        Option("beta", rate, "RATE", "chance that B passes although slower; default: 0.05"),
        Option("pairs", at_least(3), "N", "pairs before the first look; default: 5"),
        Option("max_pairs", at_least(3), "N", "most pairs; default: 30"),
        Option("budget", seconds, "SECONDS", "no pair is started that would end later"),
        Option("seed", at_least(0), "SEED", "of weights, batches and orders; default: 0"),
    )
}


@dataclass(frozen=True)
class Settings:
    """The values of `AB_OPTIONS`."""

    workload: Workload = "train"
    device: str = "cpu"
    clock: ClockName = "wall"
    batch_size: int = 32
    threads: int = 1
    min_effect: float = 0.03
    alpha: float = 0.01
    beta: float = 0.05
    pairs: int = 5
    max_pairs: int = 30
    budget: float | None = None
    seed: int = 0


def settings_from(texts: Mapping[str, str | None]) -> Settings:
    """Returns the settings for the texts that were given; `None` means the default.

    Raises:
        ValueError: names every bad value at once.
    """
    given = {name: text for name, text in texts.items() if text is not None}
    settings = Settings(**parse_all(AB_OPTIONS, given, prefix="--"))
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
    if problems:
        raise ValueError("\n".join(problems))
    return settings
