"""Measure seed noise and the gates' error rates, and propose targets."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnbench.commands.baseline import RUN_OPTIONS, SEEDS, store, trained
from cnnbench.commands.flags import add_flags, in_the_way, options_of, say

if TYPE_CHECKING:
    from cnnbench.verdicts.calibration import Calibrator, Gated

FLAGS = (*RUN_OPTIONS, "alpha", "beta", "max_seeds")
GATES_PER_VARIANT = 4  # both accuracies, generalization gap, rise of the validation loss


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, help="targets file to write; review and commit it"
    )
    parser.add_argument("--baseline", type=Path, help="also store the runs as a baseline")
    parser.add_argument("--replace", action="store_true", help="overwrite existing files")
    for name, default, help in (
        ("--first-seeds", 3, "seeds of a gate's first look"),
        ("--sessions", 400, "resampled sessions behind each rate"),
    ):
        parser.add_argument(name, type=int, default=default, help=f"{help}; default: {default}")
    add_flags(parser, FLAGS, seeds=SEEDS, variants="documented")


def run(parsed: argparse.Namespace) -> int:
    from cnnbench.verdicts.calibration import Calibrator
    from cnnbench.verdicts.gates.evidence import Levels

    options = options_of(parsed, FLAGS)
    problems = in_the_way(parsed.out, parsed.baseline, replace=parsed.replace)
    if len(options.seeds) < 10:
        problems.append(f"--seeds: expected at least 10, received {len(options.seeds)}")
    if parsed.sessions < 100:
        problems.append(f"--sessions: expected at least 100, received {parsed.sessions}")
    if not 1 <= parsed.first_seeds <= options.most_seeds():
        problems.append(
            f"--first-seeds: expected 1 to --max-seeds={options.most_seeds()}, received "
            f"{parsed.first_seeds}"
        )
    if problems:
        raise ValueError("; ".join(problems))
    made = trained(options)
    data, protocol, packages = made.data, options.training_protocol(), made.environment["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in sorted(packages))
    lines = [
        f"# Proposed by `cnnbench calibrate` from {len(options.seeds)} seeds per variant; review, "
        "then commit.",
        f"# {data.train_pictures} training and {len(data.validation_labels)} held-out pictures; "
        f"{protocol.name}, {protocol.epochs} epochs; {made.environment['machine']['cpu']}, "
        f"{versions}",
    ]
    alpha = options.alpha / (GATES_PER_VARIANT * len(options.variants))
    levels = Levels(alpha, options.beta, options.most_seeds())
    for variant, own in made.runs.items():
        calibrator = Calibrator(
            own, data.validation_labels, levels, parsed.first_seeds, parsed.sessions
        )
        lines += ["", f"[{_key(data.name)}.{_key(variant)}]", *_proposals(variant, calibrator)]
    parsed.out.parent.mkdir(parents=True, exist_ok=True)
    parsed.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"targets: {parsed.out}")
    if parsed.baseline is not None:
        store(parsed.baseline, made)
    return 0


def _proposals(variant: str, calibrator: Calibrator) -> Sequence[str]:
    """Returns the lines of a variant's table, and prints what was measured."""
    from cnnbench.verdicts.calibration import PROPOSED

    lines: list[str] = []

    def note(text: str) -> None:
        say(f"{variant}: {text}")
        lines.append(f"# {text}")

    note(_noise(calibrator))
    for check in PROPOSED:
        found = calibrator.proposed(check)
        note(_rates(found, calibrator.levels.alpha))
        lines += [
            f"{check} = {found.threshold:.3f}",
            f"{check}_sd = {calibrator.known(check).sd:.3g}",
            f"{check}_seeds = {len(calibrator.values(check))}",
        ]
    drop = _rates(calibrator.drop(), calibrator.levels.alpha)
    note(f"against a baseline of these seeds: {drop}")
    return lines


def _key(name: str) -> str:
    # A user's own model has a colon in its name, and a folder may be called anything.
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _noise(calibrator: Calibrator) -> str:
    from cnnbench.stats.intervals import mean_of, spread_of

    accuracies, gaps = map(calibrator.values, ("accuracy", "generalization_gap"))
    spread, dead = spread_of(accuracies), list(calibrator.baseline.collapsed)
    interval = spread.interval()
    return (
        f"accuracy {mean_of(accuracies).value:.4f}, seed sd {spread.sd:.4f} (95 % interval "
        f"{interval.low:.4f} to {interval.high:.4f}; {spread.sd / calibrator.floor:.2f} of "
        f"sqrt(err/2n)), gap {mean_of(gaps).value:.4f} ± {spread_of(gaps).sd:.4f}, "
        f"n={len(accuracies)} seeds{f'; collapsed seeds {dead} left out' if dead else ''}"
    )


def _rates(gated: Gated, alpha: float) -> str:
    from cnnbench.stats.intervals import clopper_pearson

    bounds = clopper_pearson(gated.failed, gated.sessions)
    smallest = "no drop of held-out accuracy up to 0.30 is found with 90 % power"
    if gated.smallest is not None:
        smallest = f"a drop of {gated.smallest:.3f} is found with 90 % power"
    return (
        f"{gated.check} {gated.threshold:.3f}: {gated.failed} false alarms and "
        f"{gated.undecided} undecided in {gated.sessions} resampled clean sessions (alarms "
        f"{bounds.low:.2%} to {bounds.high:.2%}, nominal {alpha:.2%} for this gate); {smallest}"
    )
