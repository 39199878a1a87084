"""Many trainings at once, what they cost, and what the budget has room for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from cnnbench.records.runs import TrainingRun
from cnnbench.session.workers.process import JobError

if TYPE_CHECKING:
    from cnnbench.session.session import Session

# Pictures that a thread trains on in a second where nothing better is known: the documented CNN
# on one of two cores of a shared server.
GUESSED_PICTURES_PER_SECOND = 700


def train_all(session: Session, wanted: Sequence[tuple[str, int]]) -> list[TrainingRun | Exception]:
    """Returns the runs of (variant, seed) pairs, with the error of each that failed."""
    session.plan(session.train_job(variant, seed) for variant, seed in wanted)
    done: list[TrainingRun | Exception] = []
    for variant, seed in wanted:
        try:
            done.append(session.training_run(variant, seed))
        except JobError as error:
            done.append(error)
    return done


def may_train(session: Session, count: int) -> bool:
    """Returns whether the budget of seconds has room for more trainings."""
    runs = session.finished_runs()
    if session.options.budget is None or not runs:
        return True
    each = sum(run.seconds for run in runs) / len(runs) / session.training_workers()
    return session.progress.elapsed() + count * each <= session.options.budget


def estimate(session: Session, trainings: int) -> str:
    """Returns in words how long trainings will take, from earlier reports if there are any."""
    data, protocol = session.data_set, session.options.training_protocol()
    each_epoch = _earlier_seconds(session.options.report_dir, data.content_hash, protocol.name)
    pictures = protocol.epochs * (
        protocol.steps_per_epoch * protocol.batch_size
        if protocol.steps_per_epoch
        else data.train_pictures
    )
    guess = pictures / GUESSED_PICTURES_PER_SECOND
    each = median(each_epoch) * protocol.epochs if each_epoch else guess
    count = len(each_epoch)
    source = f"by {count} earlier training{'s' if count > 1 else ''}" if count else "a guess"
    return f"about {trainings * each / session.training_workers():.0f} s, {source}"


def _earlier_seconds(reports: Path, data_hash: str, protocol: str) -> list[float]:
    """Returns the seconds of an epoch of the trainings in the newest report that has any."""
    for table in sorted(reports.glob("*/runs.csv"), reverse=True):
        seconds = list(_seconds(table, data_hash, protocol))
        if seconds:
            return seconds
    return []


def _seconds(table: Path, data_hash: str, protocol: str) -> Iterable[float]:
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if (row.get("data_hash"), row.get("protocol")) == (data_hash, protocol):
                    yield float(row["seconds"]) / int(row["epochs"])
    except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError, csv.Error):
        return  # a report that can't be read says nothing, and stops nobody
