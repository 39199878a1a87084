"""Where a job runs, as part of its identity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a training runs: part of its identity."""

    backend: str
    device: str
    threads: int
