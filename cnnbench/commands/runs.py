"""Trainings for a command: a session without pytest."""

from __future__ import annotations

from pathlib import Path

from cnnbench.records.runs import TrainingRun
from cnnbench.session.options import Options
from cnnbench.session.session import Session

RUN_OPTIONS = (
    *("data", "variants", "seeds", "epochs", "protocol", "steps_per_epoch", "validation_steps"),
    *("split_seed", "validation_fraction", "image_size", "cache_dir", "report_dir", "backends"),
    *("devices", "workers"),
)


def trained(options: Options) -> tuple[Session, dict[str, list[TrainingRun]]]:
    """Trains every variant under every seed; the report is written whatever happens.

    Returns:
        The finished session, and the runs of each variant in the order of seeds.

    Raises:
        ValueError, OSError: for anything that the user can mend, a failed training included.
    """
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
    return session, runs
