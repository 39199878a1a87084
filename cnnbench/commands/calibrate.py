"""`cnnbench calibrate`: the seed noise of your pictures and variants, and targets for it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnbench.commands.baseline import write
from cnnbench.commands.flags import add_flags, options_of
from cnnbench.commands.runs import RUN_OPTIONS, trained

if TYPE_CHECKING:
    from cnnbench.records.runs import TrainingRun
    from cnnbench.session.options import Options
    from cnnbench.verdicts.calibration import Gated, Noise
    from cnnbench.verdicts.gates.evidence import Levels

FLAGS = (*RUN_OPTIONS, "alpha", "beta", "max_seeds")
GATES_A_VARIANT = 4  # both accuracies, generalization gap, rise of the validation loss


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "calibrate", help="measure seed noise and the gates' error rates, and propose targets"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="targets file to write; review and commit it"
    )
    parser.add_argument("--baseline", type=Path, help="also store the runs as a baseline")
    parser.add_argument("--replace", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--first-seeds", type=int, default=3, help="seeds of a gate's first look; default: 3"
    )
    parser.add_argument(
        "--sessions",
        type=int,
        default=400,
        help="resampled sessions behind each rate; default: 400",
    )
    add_flags(parser, FLAGS)
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    options = options_of(parsed, FLAGS, {"seeds": "1000-1019", "variants": "documented"})
    _refuse(parsed, options)
    session, runs = trained(options)
    data = session.data_set
    text = [
        f"# Proposed by `cnnbench calibrate` from {len(options.seeds)} seeds per variant; review, "
        "then commit.",
        f"# {data.train_pictures} training and {len(data.validation_labels)} held-out pictures; "
        f"{options.training_protocol().name}, {options.training_protocol().epochs} epochs; "
        f"{_where(session.environment)}",
    ]
    for variant, own in runs.items():
        text += _proposals(variant, own, data.name, data.validation_labels, options, parsed)
    parsed.out.parent.mkdir(parents=True, exist_ok=True)
    parsed.out.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"targets: {parsed.out}")
    if parsed.baseline is not None:
        write(parsed.baseline, runs, data.validation_labels, session.environment)
        print(f"baseline: {parsed.baseline}")
    return 0


def _refuse(parsed: argparse.Namespace, options: Options) -> None:
    problems = [
        f"{path}: the file exists; name another one, or give --replace"
        for path in (parsed.out, parsed.baseline)
        if path is not None and path.exists() and not parsed.replace
    ]
    if len(options.seeds) < 10:
        problems.append(f"--seeds: expected at least 10, received {len(options.seeds)}")
    if parsed.sessions < 100:
        problems.append(f"--sessions: expected at least 100, received {parsed.sessions}")
    if not 1 <= parsed.first_seeds <= options.max_seeds:
        problems.append(
            f"--first-seeds: expected 1 to --max-seeds={options.max_seeds}, received "
            f"{parsed.first_seeds}"
        )
    if problems:
        raise ValueError("; ".join(problems))


def _proposals(
    variant: str,
    runs: Sequence[TrainingRun],
    data: str,
    labels: Sequence[int],
    options: Options,
    parsed: argparse.Namespace,
) -> list[str]:
    from cnnbench.verdicts.calibration import Calibrator, noise_of
    from cnnbench.verdicts.gates.answers import collapsed_seeds
    from cnnbench.verdicts.gates.evidence import Levels

    noise = noise_of(runs, labels)
    print(f"{variant}: {_noise(noise)}", flush=True)
    gates = GATES_A_VARIANT * len(options.variants)
    levels = Levels(options.alpha / gates, options.beta, options.max_seeds)
    dead = collapsed_seeds(runs, labels)
    alive = [run for run in runs if run.seed not in dead]
    calibrator = Calibrator(alive, labels, levels, parsed.first_seeds, parsed.sessions)
    target, gap, drop = calibrator.target(noise), calibrator.gap(noise), calibrator.drop()
    trained = calibrator.train_target(noise)
    for one in (target, trained, gap, drop):
        print(f"{variant}: {_gated(one, levels)}", flush=True)
    return [
        "",
        f"[{_key(data)}.{_key(variant)}]",
        f"# {_noise(noise)}",
        f"# {_gated(target, levels)}",
        f"accuracy = {target.threshold:.3f}",
        f"accuracy_sd = {noise.known(noise.spread).sd:.3g}",
        f"accuracy_seeds = {noise.seeds}",
        f"# {_gated(trained, levels)}",
        f"train_accuracy = {trained.threshold:.3f}",
        f"train_accuracy_sd = {noise.known(noise.train_spread).sd:.3g}",
        f"train_accuracy_seeds = {noise.seeds}",
        f"# {_gated(gap, levels)}",
        f"generalization_gap = {gap.threshold:.3f}",
        f"generalization_gap_sd = {noise.known(noise.gap_spread).sd:.3g}",
        f"generalization_gap_seeds = {noise.seeds}",
        f"# Against a baseline of these seeds: {_gated(drop, levels)}",
    ]


def _key(name: str) -> str:
    # A user's own model has a colon in its name, and a folder may be called anything.
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else json.dumps(name, ensure_ascii=False)


def _noise(noise: Noise) -> str:
    dead = f"; collapsed seeds {list(noise.collapsed)} left out" if noise.collapsed else ""
    return (
        f"accuracy {noise.mean:.4f}, seed sd {noise.spread.sd:.4f} (95 % interval "
        f"{noise.interval.low:.4f} to {noise.interval.high:.4f}; "
        f"{noise.spread.sd / noise.floor:.2f} of sqrt(err/2n)), gap {noise.gap_mean:.4f} ± "
        f"{noise.gap_spread.sd:.4f}, n={noise.seeds} seeds{dead}"
    )


def _gated(gated: Gated, levels: Levels) -> str:
    from cnnbench.stats.intervals import clopper_pearson

    bounds = clopper_pearson(gated.failed, gated.sessions)
    smallest = "no drop of held-out accuracy up to 0.30 is found with 90 % power"
    if gated.smallest is not None:
        smallest = f"a drop of {gated.smallest:.3f} is found with 90 % power"
    return (
        f"{gated.check} {gated.threshold:.3f}: {gated.failed} false alarms and "
        f"{gated.undecided} undecided in {gated.sessions} resampled clean sessions (alarms "
        f"{bounds.low:.2%} to {bounds.high:.2%}, nominal {levels.alpha:.2%} for this gate); "
        f"{smallest}"
    )


def _where(environment: Mapping[str, Any]) -> str:
    packages = environment["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in sorted(packages))
    return f"{environment['machine']['cpu']}, {versions}"
