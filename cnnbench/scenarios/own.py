"""cnnbench's own driver. One thread asks and answers, so that nothing competes with the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnbench.scenarios.early_stopping import late_allowed
from cnnbench.scenarios.queries import (
    Answer,
    Answered,
    Pictures,
    arrivals,
    batch_sizes,
    largest_batch,
    repeated,
)
from cnnbench.scenarios.settings import PERCENTILES
from cnnbench.scenarios.watch import REAL, Watch

DRAWN = 4096  # queries that are drawn at once


@dataclass(frozen=True)
class OwnDriver:
    """Asks `answer` about `pictures` of shape `(n, height, width, 3)`.

    Pictures are drawn uniformly with replacement, by MLPerf's rules for the trace of queries.
    """

    answer: Answer
    pictures: Pictures
    batch_size: int = 1
    seed: int = 0
    watch: Watch = REAL

    def single_stream(self, *, seconds: float, minimum_queries: int) -> Answered:
        """Asks about the next picture as soon as the last one is answered.

        Ends when a query was issued after `seconds` and `minimum_queries` are answered.
        """
        now, answer, pictures = self.watch.now, self.answer, self.pictures
        generator = np.random.default_rng(self.seed)
        latencies: list[float] = []
        start = done = now()
        while True:
            for index in generator.integers(len(pictures), size=DRAWN).tolist():
                issued = now()
                answer(pictures[index : index + 1])
                done = now()
                latencies.append(done - issued)
                if issued - start >= seconds and len(latencies) >= minimum_queries:
                    count = len(latencies)
                    return Answered(tuple(latencies), count, done - start, count / (done - start))

    def offline(self, *, pictures: int, batch_size: int) -> Answered:
        """Asks about all pictures at once; the batches are cut here, in the time that counts."""
        now = self.watch.now
        wanted = repeated(len(self.pictures), pictures, self.seed)
        moments = [now()]
        for first in range(0, pictures, batch_size):
            self.answer(self.pictures[wanted[first : first + batch_size]])
            moments.append(now())
        seconds = moments[-1] - moments[0]
        return Answered(tuple(np.diff(moments).tolist()), pictures, seconds, pictures / seconds)

    def server(
        self, *, rate: float, seconds: float, minimum_queries: int, bound: float, attempt: int
    ) -> Answered:
        """Answers Poisson arrivals in their order, as many at once as wait and fit a batch.

        Latency counts from the scheduled moment of arrival, also for a query that came while
        others were being answered: counting from when its turn came would hide the queue
        ("coordinated omission"). Gives up once too many are late for any outcome but a fail.
        """
        now, wait_until = self.watch.now, self.watch.wait_until
        sizes = batch_sizes(self.batch_size)
        moments = arrivals(rate, seconds, minimum_queries, (self.seed, attempt))
        count = len(moments)
        drawn = np.random.default_rng(self.seed).integers(len(self.pictures), size=count)
        too_many = (late_allowed(count, PERCENTILES["server"]) or 0) + 1
        latencies: list[float] = []
        late = first = 0
        start = done = now()
        due = moments + start
        while first < count and late < too_many:
            if now() < due[first]:
                wait_until(float(due[first]))
            waiting = int(np.searchsorted(due, now(), side="right")) - first
            last = first + largest_batch(max(waiting, 1), sizes)
            self.answer(self.pictures[drawn[first:last]])
            done = now()
            for moment in due[first:last].tolist():
                latencies.append(done - moment)
                late += done - moment > bound
            first = last
        return Answered(tuple(latencies), len(latencies), done - start, first / (done - start))
