"""What people see while trainings and measurements run."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.2
STATUS_SECONDS = 15.0


class Progress:
    """Prints a line for each finished job, and now and then what still runs.

    Workers report from their own threads; lines are printed only by the thread that waits. `show`
    shows a line while something is waited for, instead of lines that stay, and takes it away for
    an empty one.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        show: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._show, self._clock = say, show, clock
        self._last = ""
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._running: dict[str, str] = {}
        self._planned = self._finished = 0
        self._started = self._told = clock()

    def plan(self, jobs: int) -> None:
        self._planned += jobs

    def tell(self, title: str, values: dict[str, Any]) -> None:
        """Takes a running job's report; called from any thread."""
        if "epoch" in values:
            self._running[title] = f"epoch {values['epoch']}/{values['epochs']}"

    def finished(self, title: str, outcome: str, counted: bool = True) -> None:
        """Takes the end of a job, which may be one that was planned; called from any thread."""
        self._running.pop(title, None)
        self._finished += counted
        self._lines.put(f"{self._so_far()} {title}: {outcome}")

    def elapsed(self) -> float:
        return self._clock() - self._started

    def wait(self, future: Future[T]) -> T:
        self.settle(future)
        return future.result()

    def settle(self, future: Future[T]) -> None:
        """Waits for a job, printing meanwhile, whatever becomes of it."""
        # done() and not what wait() returns: it knows of a cancelled job, for which wait() hangs.
        try:
            while not future.done():
                wait([future], timeout=LOOK_SECONDS)
                self._print()
            self._print()
        finally:
            if self._show is not None:
                self._show("")

    def note(self, text: str) -> None:
        """Prints a line at once; called from the waiting thread only."""
        self._told = self._clock()
        self._say(f"cnnbench: {text}")

    def _print(self) -> None:
        while not self._lines.empty():  # this thread alone takes lines
            self._last = self._lines.get()
            if self._show is None:
                self.note(self._last)
        running = ", ".join(f"{title} ({at})" for title, at in list(self._running.items()))
        if self._show is not None:
            what = running or ("" if self._last else "starting")
            self._show(f"{self._so_far()} {what}" if what else self._last)
        elif running and self._clock() - self._told > STATUS_SECONDS:
            self.note(f"{self._so_far()} {running}")

    def _so_far(self) -> str:
        seconds, left = self.elapsed(), self._planned - self._finished
        known = self._finished and left > 0
        to_go = f", about {seconds * left / self._finished:.0f} s to go" if known else ""
        return f"[{self._finished}/{self._planned}, {seconds:.0f} s{to_go}]"
