"""Queries and answers: what both drivers share, so that they do the same work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pictures = npt.NDArray[np.uint8]
Answers = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Answer = Callable[[Pictures], Answers]


@dataclass(frozen=True)
class Answered:
    """What came of a run.

    `latency_seconds` are those of the queries in the order of their arrival (offline: of the
    batches); `rate` is the number of queries or pictures a second, as far as it was reached.
    """

    latency_seconds: tuple[float, ...]
    queries: int
    seconds: float
    rate: float


class Runner(Protocol):
    """One run of each scenario. Both drivers have these three."""

    def single_stream(self, *, seconds: float, minimum_queries: int) -> Answered:
        """Asks about the next picture as soon as the last one is answered."""
        ...

    def offline(self, *, pictures: int, batch_size: int) -> Answered:
        """Asks about all pictures at once."""
        ...

    def server(
        self, *, rate: float, seconds: float, minimum_queries: int, bound: float, attempt: int
    ) -> Answered:
        """Asks at random moments, `rate` times a second on average."""
        ...


def batch_sizes(largest: int) -> tuple[int, ...]:
    """Returns the sizes of the server's batches: powers of two, and the largest.

    A compiled program exists for each size, so that there are few, and all are warmed up.
    """
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return tuple(sizes) if largest == sizes[-1] else (*sizes, largest)


def largest_batch(waiting: int, sizes: tuple[int, ...]) -> int:
    """Returns the largest size that those who wait can fill, or all of them where none is."""
    return max((size for size in sizes if size <= waiting), default=waiting)


def whole_batches(pictures: int, batch_size: int) -> int:
    """Returns the number of pictures rounded up to whole batches, of which a program is made."""
    return -(-pictures // batch_size) * batch_size


def repeated(pool: int, count: int, seed: int) -> Indices:
    """Returns all pictures of the pool in one random order, again and again.

    LoadGen's offline query is made so (loadgen.cc, `GenerateQueries`).
    """
    order = np.random.default_rng(seed).permutation(pool)
    return np.resize(order, count)


def arrivals(
    rate: float, seconds: float, minimum_queries: int, seed: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Returns the moments of Poisson arrivals, the first at 0, the last at `seconds` or later.

    Gaps are exponential (MLPerf's rules: "according to a Poisson distribution"); there are at
    least `minimum_queries`.

    Args:
        rate: queries a second on average.
        seconds: the length of the schedule.
        minimum_queries: the fewest queries.
        seed: of the generator; each attempt has its own arrivals.
    """
    generator = np.random.default_rng(seed)
    moments = np.zeros(1)
    while len(moments) < minimum_queries or moments[-1] < seconds:
        gaps = generator.exponential(1 / rate, size=1024)
        moments = np.concatenate([moments, moments[-1] + np.cumsum(gaps)])
    enough = int(np.searchsorted(moments, seconds)) + 1
    return moments[: max(enough, minimum_queries)]
