"""How large the work is that a peak is read from, and the search for it. Knows no backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cnnbench.speed.timing import Clock

Call = Callable[[], object]  # does its work once and returns when it is done

CALL_SECONDS = 0.02  # long beside reading the clock, launching a kernel and waiting for it
FEWEST_CALLS = 3

# A convolution as in a CNN: 64 to 64 channels, 56x56 outputs. The inputs are larger instead of
# padded, so that nothing is counted that is not multiplied.
KERNEL, CHANNELS, SIDE = 3, 64, 56
INPUT_SIDE = SIDE + KERNEL - 1
CONVOLUTION_FLOPS = 2 * SIDE**2 * CHANNELS**2 * KERNEL**2  # a picture


class Unsupported(Exception):
    """A backend has no such operation on this device or for this dtype."""


class Bench(Protocol):
    """The two works of one backend, one device and one dtype.

    Each is made for a size and may raise: `Unsupported`, or whatever the backend raises.
    """

    def matmul(self, size: int) -> Call:
        """Returns a product of two `(size, size)` matrices."""

    def convolution(self, batch: int) -> Call:
        """Returns a convolution of `(batch, INPUT_SIDE, INPUT_SIDE, CHANNELS)`."""


@dataclass(frozen=True)
class Ladder:
    """Sizes to try, each double the one before, and the work of one call."""

    smallest: int
    largest: int
    work: Callable[[int], float]


def matmul_flops(size: int) -> float:
    """Returns `2 * size**3`: multiplications and additions of a square matrix product."""
    return 2.0 * size**3


def convolution_flops(batch: int) -> float:
    """Returns multiplications and additions of the convolution of a batch."""
    return float(CONVOLUTION_FLOPS * batch)


MATMUL = Ladder(512, 8192, matmul_flops)
CONVOLUTION = Ladder(1, 512, convolution_flops)


def best_rate(
    make: Callable[[int], Call], ladder: Ladder, *, seconds: float, clock: Clock
) -> float | None:
    """Returns the highest work a second over sizes and calls.

    The size is doubled until a call takes `CALL_SECONDS`; that size is then repeated while
    `seconds` last. Each size has a first call, which compiles and allocates, that is not timed.

    Args:
        make: returns the work of a size.
        ladder: the sizes.
        seconds: for all of it; what has begun is ended, with at most `FEWEST_CALLS` of a size.
        clock: returns seconds.

    Returns:
        Work a second by the shortest call, or `None` if the smallest size already fails.
    """
    start = clock()
    best: float | None = None
    size = ladder.smallest
    while True:
        try:
            call = make(size)
            call()
            # One slow call may be a disturbance; one of several seconds is not worth another.
            took = _shortest(call, clock)
            if took < seconds / FEWEST_CALLS:
                took = min(took, _shortest(call, clock, FEWEST_CALLS - 1))
            best = max(best or 0.0, ladder.work(size) / took)
            left = seconds - (clock() - start)
            if took >= CALL_SECONDS or left <= 0 or size * 2 > ladder.largest:
                if left > took:
                    took = _shortest(call, clock, int(left / took))
                return max(best, ladder.work(size) / took)
        except Exception:  # whatever a backend raises for what it can't, or for full memory
            return best
        size *= 2


def _shortest(call: Call, clock: Clock, calls: int = 1) -> float:
    shortest = float("inf")
    for _ in range(calls):
        start = clock()
        call()
        shortest = min(shortest, clock() - start)
    return max(shortest, 1e-9)
