"""`cnnbench baseline`: many seeds, stored once with their identity, for later gates."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.commands.runs import RUN_OPTIONS, trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cnnbench.records.runs import TrainingRun

# Not those that gates train: a run that is its own baseline shows nothing.
SEEDS = "1000-1019"


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
    options = options_of(parsed, RUN_OPTIONS, {"seeds": SEEDS, "variants": "documented"})
    if parsed.out.exists() and not parsed.replace:
        raise FileExistsError(
            f"The file exists; name another one, or give --replace. "
            f"Received: out={str(parsed.out)!r}"
        )
    if len(options.seeds) < 2:
        raise ValueError(f"--seeds: a baseline needs at least 2. Received: {options.seeds}")
    session, runs = trained(options)
    write(parsed.out, runs, session.data_set.validation_labels, session.environment)
    print(f"baseline: {parsed.out}")
    return 0


def write(
    path: Path,
    runs: Mapping[str, Sequence[TrainingRun]],
    labels: Sequence[int],
    environment: Mapping[str, Any],
) -> None:
    """Writes the baselines of all variants, and prints which drops they can find."""
    from cnnbench.stats.intervals import spread_of
    from cnnbench.stats.power import smallest_difference
    from cnnbench.verdicts.gates.answers import collapsed_seeds
    from cnnbench.verdicts.gates.baselines import baseline_of, write_baselines
    from cnnbench.verdicts.gates.evidence import Levels, mean_sd

    baselines = []
    levels = Levels()
    for variant, own in runs.items():
        one = baseline_of(own, collapsed_seeds(own, labels))
        baselines.append(one)
        sd = spread_of(one.accuracies).sd
        smallest = smallest_difference(sd, len(one.seeds), levels.most, levels.alpha)
        dead = f"; collapsed and left out: seeds {list(one.collapsed)}" if one.collapsed else ""
        print(
            f"{variant}: held-out accuracy {mean_sd(one.accuracies)}; {levels.most} new seeds will "
            f"find a drop of {smallest:.4f} with 90 % power at {levels.alpha:.0%} false alarms"
            f"{dead}"
        )
    write_baselines(path, baselines, environment)
