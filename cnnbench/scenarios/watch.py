"""The clock of a scenario, and how it waits for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

SPIN_SECONDS = 0.002  # a sleep ends late by up to this, so the last of a wait is not slept


def wait_until(moment: float) -> None:
    """Waits until `time.perf_counter` has reached `moment`: asleep at first, then busy.

    Being busy costs the model nothing: nobody is answering while the queue is empty.
    """
    left = moment - time.perf_counter() - SPIN_SECONDS
    if left > 0:
        time.sleep(left)
    while time.perf_counter() < moment:
        pass


@dataclass(frozen=True)
class Watch:
    """A clock in seconds, and a wait until it shows a moment. Tests have their own."""

    now: Callable[[], float] = time.perf_counter
    wait_until: Callable[[float], None] = wait_until


REAL = Watch()
