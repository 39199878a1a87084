"""Trainings for a command: a session without pytest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnbench.records.records import DataSet, TrainingRun
from cnnbench.session.options import Options
from cnnbench.session.session import Session

RUN_OPTIONS = (
    "data",
    "variants",
    "seeds",
    "epochs",
    "protocol",
    "steps_per_epoch",
    "validation_steps",
    "split_seed",
    "validation_fraction",
    "image_size",
    "cache_dir",
    "report_dir",
    "backends",
    "devices",
    "workers",
)
# Not those that gates train: a run that is its own baseline shows nothing.
DEFAULTS = {"seeds": "1000-1019", "variants": "documented"}


def in_the_way(*paths: Path | None, replace: bool) -> list[str]:
    """Returns a line for each file that would be overwritten although nobody asked for it."""
    return [
        f"{path}: the file exists; name another one, or give --replace"
        for path in paths
        if path is not None and path.exists() and not replace
    ]


@dataclass(frozen=True)
class Trained:
    """The pictures, the environment, and the runs of each variant in the order of seeds."""

    data: DataSet
    environment: Mapping[str, Any]
    runs: dict[str, list[TrainingRun]]


def trained(options: Options) -> Trained:
    """Trains every variant under every seed; the report is written whatever happens."""
    session = Session(options, Path.cwd(), lambda text: print(text, flush=True))
    wanted = [(variant, seed) for variant in options.variants for seed in options.seeds]
    try:
        session.start()
        if session.leaks:
            raise ValueError("Nothing is trained: " + "\n".join(session.leaks))
        session.check_models(options.variants)
        session.progress.note(f"{len(wanted)} trainings planned")
        done = session.train_all(wanted)
    finally:
        session.finish()
    runs: dict[str, list[TrainingRun]] = {}
    for (variant, _), outcome in zip(wanted, done, strict=True):
        if isinstance(outcome, Exception):
            raise ValueError(f"A training failed, so nothing was stored: {outcome}") from outcome
        runs.setdefault(variant.name, []).append(outcome)
    print(f"report: {session.directory}")
    return Trained(session.data_set, session.environment, runs)
