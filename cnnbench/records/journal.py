"""The append-only file of finished records. What was finished survives `kill -9`."""

from __future__ import annotations

import os
from pathlib import Path

from cnnbench.records.codec import Record, decode, encode

JOURNAL_NAME = "journal.jsonl"


class Journal:
    """Appends records to a file, one line each, on disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[Record] = []
        self._file = path.open("ab", buffering=0)

    def append(self, record: Record) -> None:
        # One write call: a killed process leaves at most one torn last line.
        line = encode(record).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError(f"The disk is full: {self.path} is not whole.")
        os.fsync(self._file.fileno())
        self.records.append(record)

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> list[Record]:
    """Returns the records of a journal; a torn last line (a killed writer) is left out.

    Raises:
        ValueError: if a line before the last is damaged; names file and line.
    """
    lines = path.read_bytes().split(b"\n")
    records: list[Record] = []
    # A whole file ends with a newline, so what follows the last one is torn or empty.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(decode(line.decode()))
        except ValueError as error:
            raise ValueError(f"Damaged journal {path}, line {number}: {error}") from error
    return records
