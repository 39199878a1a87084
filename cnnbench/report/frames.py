"""Tables as DataFrames: written as CSV and read back losslessly. The only user of pandas."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cnnbench.records.journal import JOURNAL_NAME, read_journal
from cnnbench.records.records import Environment, Record
from cnnbench.report.folder import unpacked
from cnnbench.report.rows import tables_of
from cnnbench.report.tables import SCHEMA

ENVIRONMENT_NAME = "environment.json"
# How Python writes a file name that is not UTF-8, as in old archives.
UNDECODABLE = "surrogateescape"


@dataclass(frozen=True)
class Report:
    """The tables of one run, a DataFrame each, and the run's identity."""

    environment: dict[str, Any]
    runs: pd.DataFrame
    epochs: pd.DataFrame
    rounds: pd.DataFrame
    throughput: pd.DataFrame
    peaks: pd.DataFrame
    checks: pd.DataFrame
    predictions: pd.DataFrame

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}={len(frame)}" for name, frame in self.tables().items())
        return f"Report(rows: {rows})"

    def _repr_html_(self) -> str:
        """Returns the tables of the summary, for notebooks."""
        from cnnbench.report.summary import accuracy_frame, speed_frame

        frames = [accuracy_frame(self), speed_frame(self)]
        return "".join(f"<p>{frame.to_html(index=False)}</p>" for frame in frames if len(frame))

    def tables(self) -> dict[str, pd.DataFrame]:
        """Returns the tables by name."""
        return {name: getattr(self, name) for name in SCHEMA}


def report_of(records: Iterable[Record]) -> Report:
    """Derives the report from records."""
    records = list(records)
    environment = next((r.content for r in records if isinstance(r, Environment)), {})
    frames = {
        name: pd.DataFrame(rows, columns=list(SCHEMA[name])).astype(SCHEMA[name])
        for name, rows in tables_of(records).items()
    }
    return Report(environment=environment, **frames)


def write_report(report: Report, directory: Path) -> None:
    """Writes `environment.json` and a CSV file for each table into the directory.

    A file has its name only when it is whole: a killed writer leaves none that looks like one.
    """
    text = json.dumps(report.environment, indent=2) + "\n"
    unfinished = directory / "unfinished"
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(directory / ENVIRONMENT_NAME)
    for name, frame in report.tables().items():
        # pandas writes the shortest digits that give the same float back.
        frame.to_csv(unfinished, index=False, lineterminator="\n", errors=UNDECODABLE)
        unfinished.replace(directory / f"{name}.csv")


def load_report(path: str | Path) -> Report:
    """Reads a report folder, or a file that `cnnbench pack` made of one.

    A run that was killed has a journal and no tables; they are derived from it.

    Args:
        path: the folder, `reports/<UTC time>_<commit>`, or the `.zip` file.

    Returns:
        The run's identity and its tables, equal to what was written, bit by bit.

    Raises:
        FileNotFoundError: if the folder is absent or holds no report.
        ValueError: if a table lacks a column, or the journal is damaged.
    """
    directory = Path(path)
    if directory.suffix == ".zip" and directory.is_file():
        with unpacked(directory) as folder:
            try:
                return load_report(folder)
            except (ValueError, FileNotFoundError) as error:
                # The file that was given counts for people, not where it was unpacked.
                raise type(error)(str(error).replace(str(folder), str(path))) from None
    if not directory.is_dir():
        raise FileNotFoundError(f"No such report folder. Received: path={str(path)!r}")
    if all((directory / f"{name}.csv").is_file() for name in SCHEMA):
        identity = directory / ENVIRONMENT_NAME
        environment = json.loads(identity.read_text("utf-8")) if identity.is_file() else {}
        return Report(environment, **{name: _read(directory / f"{name}.csv") for name in SCHEMA})
    if (directory / JOURNAL_NAME).is_file():
        return report_of(read_journal(directory / JOURNAL_NAME))
    raise FileNotFoundError(
        f"No report in this folder. Expected {JOURNAL_NAME} or the tables "
        f"{', '.join(f'{name}.csv' for name in SCHEMA)}. Received: path={str(path)!r}"
    )


def report_name(path: str | Path) -> str:
    """Returns the name of a report's folder or pack."""
    return Path(path).resolve().name.removesuffix(".zip")


def _read(path: Path) -> pd.DataFrame:
    columns = SCHEMA[path.stem]
    header = path.read_text(encoding="utf-8", errors=UNDECODABLE).split("\n", 1)[0].split(",")
    missing = [column for column in columns if column not in header]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}.")
    # As text first: a class may be called "NA", and pandas' own reader of floats may be off in
    # the last bit, which Python's is not.
    texts = pd.read_csv(path, dtype="str", keep_default_na=False, encoding_errors=UNDECODABLE)
    return pd.DataFrame(
        {column: _parsed(texts[column], dtype) for column, dtype in columns.items()}
    )


def _parsed(texts: pd.Series, dtype: str) -> pd.Series:
    if dtype == "str":
        return texts
    number, missing = (float, float("nan")) if dtype == "float64" else (int, pd.NA)
    return pd.Series([number(text) if text else missing for text in texts], dtype=dtype)
