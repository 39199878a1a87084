"""`cnnbench baseline`: many seeds, stored once with their identity, for later gates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.commands.runs import DEFAULTS, RUN_OPTIONS, Trained, in_the_way, trained


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "baseline", help="train many seeds and store their accuracies for later gates"
    )
    parser.add_argument("--out", type=Path, required=True, help="file to write; commit it")
    parser.add_argument("--replace", action="store_true", help="overwrite an existing file")
    add_flags(parser, RUN_OPTIONS)
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    options = options_of(parsed, RUN_OPTIONS, DEFAULTS)
    problems = in_the_way(parsed.out, replace=parsed.replace)
    if len(options.seeds) < 2:
        problems.append(f"--seeds: expected at least 2, received {len(options.seeds)}")
    if problems:
        raise ValueError("; ".join(problems))
    store(parsed.out, trained(options))
    return 0


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
