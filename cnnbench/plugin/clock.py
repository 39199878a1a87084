"""A clock for pytest-benchmark that shows seconds which a worker measured.

Timings are taken inside the worker, around nothing but the work. pytest-benchmark's public `timer`
option takes any callable that returns seconds, so a clock that is put forward by what was measured
brings the worker's own seconds into its table and JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


class RecordedClock:
    """Stands still but for `advance`."""

    def __init__(self) -> None:
        self._now = 0.0

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def timer(self) -> float:
        return self._now


CLOCK = pytest.StashKey[RecordedClock]()


def show_rounds(clock: RecordedClock, benchmark: Any, seconds: Sequence[float]) -> None:
    """Hands recorded rounds to the `benchmark` fixture, a round each."""
    rounds = iter(seconds)
    # pytest-benchmark may ask for a further call (under --benchmark-cprofile, say).
    benchmark.pedantic(lambda: clock.advance(next(rounds, 0.0)), rounds=len(seconds))
