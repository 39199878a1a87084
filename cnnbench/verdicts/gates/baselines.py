"""A stored baseline: what a variant reached under many seeds, with its identity."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cnnbench.records.journal import from_data
from cnnbench.records.records import TrainingRun

BASELINE_VERSION = 1
# What must be equal for two accuracies to be of one recipe on the same pictures. Threads are among
# it, since bits change with them; packages are not: gates are there to find what an upgrade does.
IDENTITY = (
    "fingerprint",
    "data_hash",
    "protocol",
    "epochs",
    "steps_per_epoch",
    "backend",
    "device",
    "dtype",
    "batch_size",
    "threads",
)


@dataclass(frozen=True)
class Baseline:
    """Accuracies of one variant; collapsed seeds are named and not among them."""

    variant: str
    identity: dict[str, Any] = field(hash=False)
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    collapsed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.accuracies) < 2 or not all(0 <= value <= 1 for value in self.accuracies):
            raise ValueError(
                "Expected accuracies from 0 to 1 of at least two seeds that learn; 20 are good. "
                f"Received: variant={self.variant!r}, seeds={list(self.seeds)}, "
                f"accuracies={list(self.accuracies)}, collapsed={list(self.collapsed)}"
            )

    def differences(self, own: Mapping[str, Any]) -> list[str]:
        """Returns a line for each part of an identity that is another in the baseline."""
        return [
            f"{name} is {value!r}, in the baseline {self.identity.get(name)!r}"
            for name, value in own.items()
            if value != self.identity.get(name)
        ]


def identity_of(run: TrainingRun) -> dict[str, Any]:
    """Returns what makes a run comparable."""
    return {name: getattr(run, name) for name in IDENTITY}


def baseline_of(runs: Sequence[TrainingRun], collapsed: Iterable[int]) -> Baseline:
    """Returns the baseline of one variant's runs."""
    dead = tuple(collapsed)
    alive = [run for run in runs if run.seed not in dead]
    return Baseline(
        variant=runs[0].variant,
        identity=identity_of(runs[0]),
        seeds=tuple(run.seed for run in alive),
        accuracies=tuple(run.val_accuracy for run in alive),
        collapsed=dead,
    )


def write_baselines(
    path: Path, baselines: Iterable[Baseline], environment: Mapping[str, Any]
) -> None:
    """Writes a file that a person reviews and commits; a line a seed, so that diffs are read."""
    content = {
        "cnnbench_baseline": BASELINE_VERSION,
        "environment": dict(environment),
        "baselines": [asdict(baseline) for baseline in baselines],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_baselines(path: Path) -> dict[str, Baseline]:
    """Returns the baselines of a file by variant."""
    if not path.is_file():
        raise FileNotFoundError(
            "No such baseline file; `cnnbench baseline --out FILE` makes one. "
            f"Received: baseline={str(path)!r}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["cnnbench_baseline"] != BASELINE_VERSION:
            raise ValueError(f"version {content['cnnbench_baseline']!r}")
        return {one["variant"]: from_data(Baseline, one) for one in content["baselines"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no baseline of version {BASELINE_VERSION} that `cnnbench baseline` wrote: "
            f"{type(error).__name__}: {error}"
        ) from error
