"""Thresholds that people write: one TOML file, looked up from the special to the general."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What holds where nothing is stated. `accuracy` has no default on purpose: it belongs to a data
# set, and pictures without a stated target are not judged by one.
DEFAULTS: dict[str, float] = {
    "generalization_gap": 0.10,
    "validation_loss_rise": 0.30,
    "initial_loss": 0.30,
    "weights_moved": 0,
    "memorization": 0.30,
    "shuffled_labels": 0.10,
    "class_balance": 0.20,
    "repeatable_inference": 1e-4,
    "dead_units": 0.995,
}
# Have no default: accuracies, the drop from a baseline that must be found, and seeds' spread in
# earlier runs (`_sd`, measured with `_seeds` seeds).
SPREAD = ("accuracy", "train_accuracy", "generalization_gap")
STATED = (
    "accuracy",
    "accuracy_drop",
    "train_accuracy",
    *(f"{name}_{part}" for name in SPREAD for part in ("sd", "seeds")),
)
PROPERTIES = (*STATED, *DEFAULTS)


@dataclass(frozen=True)
class Targets:
    """Thresholds by data set and variant; `stated` by a test's marker, which comes first.

    Then in this order: `[data.variant]`, `[data]`, `[default.variant]`, `[default]`, `DEFAULTS`;
    `data` is the name of the image folder, `drawn` for the embedded set.
    """

    content: dict[str, Any] = field(default_factory=dict)
    stated: dict[str, float] = field(default_factory=dict)

    def get(self, name: str, data: str, variant: str) -> float | None:
        """Returns a threshold, or `None` where none is stated (`STATED` only)."""
        if name in self.stated:
            return self.stated[name]
        for section in (data, "default"):
            table = self.content.get(section, {})
            for place in (table.get(variant, {}), table):
                if name in place:
                    return float(place[name])
        return DEFAULTS.get(name)


def stated_in(arguments: Mapping[str, Any]) -> dict[str, float]:
    """Returns the thresholds among a marker's arguments."""
    stated = {name: value for name, value in arguments.items() if name in PROPERTIES}
    problems = _problems("@pytest.mark.cnnbench", stated, deeper=False)
    if problems:
        raise ValueError("\n".join(problems))
    return {name: float(value) for name, value in stated.items()}


def read_targets(path: Path) -> Targets:
    """Reads a targets file; an error names all its problems at once."""
    if not path.is_file():
        raise FileNotFoundError(f"No such targets file. Received: targets={str(path)!r}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    problems = []
    for section, table in content.items():
        if isinstance(table, dict):
            problems += _problems(section, table)
        else:
            problems.append(f"{section}: expected a table such as [drawn] or [drawn.documented]")
    if problems:
        raise ValueError(f"{path} has {len(problems)} problem(s):\n  " + "\n  ".join(problems))
    return Targets(content)


def _problems(where: str, table: Mapping[str, Any], deeper: bool = True) -> list[str]:
    found = []
    for key, value in table.items():
        if isinstance(value, dict) and deeper:
            found += _problems(f"{where}.{key}", value, deeper=False)
        elif key not in PROPERTIES:
            found.append(f"[{where}] {key}: unknown, expected one of {', '.join(PROPERTIES)}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            found.append(f"[{where}] {key}: expected a number, received {value!r}")
    return found
