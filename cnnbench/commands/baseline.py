"""Train many seeds and store their accuracies for later gates."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import TRAINING, add_flags, in_the_way, options_of, say
from cnnbench.records.records import DataSet, TrainingRun
from cnnbench.session.options import Options
from cnnbench.session.session import Session

RUN_OPTIONS = (*TRAINING, "variants", "seeds", "report_dir", "devices", "workers")
# Not those that gates train: a run that is its own baseline shows nothing.
SEEDS = "1000-1019"


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="file to write; commit it")
    parser.add_argument("--replace", action="store_true", help="overwrite an existing file")
    add_flags(parser, RUN_OPTIONS, seeds=SEEDS, variants="documented")


def run(parsed: argparse.Namespace) -> int:
    options = options_of(parsed, RUN_OPTIONS)
    problems = in_the_way(parsed.out, replace=parsed.replace)
    if len(options.seeds) < 2:
        problems.append(f"--seeds: expected at least 2, received {len(options.seeds)}")
    if problems:
        raise ValueError("; ".join(problems))
    store(parsed.out, trained(options))
    return 0


@dataclass(frozen=True)
class Trained:
    """The pictures, the environment, and the runs of each variant in the order of seeds."""

    data: DataSet
    environment: Mapping[str, Any]
    runs: dict[str, list[TrainingRun]]


def trained(options: Options) -> Trained:
    """Trains every variant under every seed; the report is written whatever happens."""
    session = Session(options, Path.cwd(), say)
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


def store(path: Path, made: Trained) -> None:
    """Writes the baselines of all variants, and prints which drops they can find."""
    from cnnbench.stats.intervals import spread_of
    from cnnbench.stats.power import smallest_difference
    from cnnbench.verdicts.gates.baselines import baseline_of, write_baselines
    from cnnbench.verdicts.gates.evidence import Levels, collapsed_seeds, mean_sd

    labels = made.data.validation_labels
    baselines = [baseline_of(own, collapsed_seeds(own, labels)) for own in made.runs.values()]
    levels = Levels()
    for one in baselines:
        sd = spread_of(one.accuracies).sd
        smallest = smallest_difference(sd, len(one.seeds), levels.most, levels.alpha)
        dead = f"; collapsed and left out: seeds {list(one.collapsed)}" if one.collapsed else ""
        print(
            f"{one.variant}: held-out accuracy {mean_sd(one.accuracies)}; {levels.most} new seeds "
            f"will find a drop of {smallest:.4f} with 90 % power at {levels.alpha:.0%} false alarms"
            f"{dead}"
        )
    write_baselines(path, baselines, made.environment)
    print(f"baseline: {path}")
