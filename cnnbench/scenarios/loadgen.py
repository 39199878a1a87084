"""MLPerf's own LoadGen as the driver: it asks and takes the times, the answers are the same.

LoadGen is C++ (mlcommons/inference, loadgen/) and calls back into Python from the thread that
started the test, so one thread asks and answers here too: while a query is being answered the next
one can't be issued, but its latency counts from its scheduled moment all the same.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnbench.scenarios.loadgen_logs import read_log, read_trace
from cnnbench.scenarios.queries import (
    Answer,
    Answered,
    Answers,
    Pictures,
    batch_sizes,
    largest_batch,
)
from cnnbench.scenarios.settings import PERCENTILES
from cnnbench.scenarios.watch import REAL, Watch

MODULE = "mlperf_loadgen"
NANO = 1e9


def load() -> Any:
    """Returns LoadGen's module.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module(MODULE)
    except ImportError as error:
        raise ValueError(
            "Expected LoadGen to be installed for the scenario driver 'loadgen': "
            f"pip install 'cnnbench[loadgen]'. Received: {error}"
        ) from error


@dataclass
class LoadGenDriver:
    """Has LoadGen ask `answer` about `pictures` of shape `(n, height, width, 3)`.

    `expected_seconds` is the shortest time of an answer: LoadGen draws its queries beforehand, and
    ends early when they run out. `log` is LoadGen's own detailed log of the last run.
    """

    answer: Answer
    pictures: Pictures
    batch_size: int = 1
    seed: int = 0
    expected_seconds: float = 1e-4
    watch: Watch = REAL
    trace: bool = True
    log: dict[str, Any] = field(default_factory=dict)

    def single_stream(self, *, seconds: float, minimum_queries: int) -> Answered:
        """Asks about the next picture as soon as the last one is answered."""
        _, latencies = self._run(
            "SingleStream",
            (1,),
            trace=self.trace,
            min_duration_ms=round(seconds * 1e3),
            min_query_count=minimum_queries,
            single_stream_expected_latency_ns=max(1, round(self.expected_seconds * NANO)),
            single_stream_target_latency_percentile=PERCENTILES["single-stream"],
        )
        rate = float(self.log["result_qps_with_loadgen_overhead"])
        queries = int(self.log["result_query_count"])
        # The rate is logged with six digits, which must not make a run too short.
        least = seconds if self.log["result_min_duration_met"] else 0.0
        return Answered(latencies, queries, max(queries / rate, least), rate)

    def offline(self, *, pictures: int, batch_size: int) -> Answered:
        """Asks about all pictures at once. Latencies are of batches, by this side's clock."""
        # Without a shortest duration LoadGen asks about so many, not as many as a rate suggests.
        moments, _ = self._run(
            "Offline",
            (batch_size,),
            trace=False,
            min_duration_ms=0,
            min_query_count=pictures,
        )
        rate = float(self.log["result_samples_per_second"])
        return Answered(tuple(np.diff(moments).tolist()), pictures, pictures / rate, rate)

    def server(
        self, *, rate: float, seconds: float, minimum_queries: int, bound: float, attempt: int
    ) -> Answered:
        """Asks at random moments, `rate` times a second on average.

        Queries that are due while others are being answered come together from LoadGen
        (`server_coalesce_queries`) where batches are allowed, and are cut into batches here.
        """
        planned = max(seconds, minimum_queries / rate)
        _, latencies = self._run(
            "Server",
            batch_sizes(self.batch_size),
            trace=True,
            min_duration_ms=round(seconds * 1e3),
            max_duration_ms=round(3 * planned * 1e3),  # an overfull queue does not end by itself
            min_query_count=minimum_queries,
            server_target_qps=rate,
            server_target_latency_ns=round(bound * NANO),
            server_target_latency_percentile=PERCENTILES["server"],
            server_coalesce_queries=self.batch_size > 1,
            schedule_rng_seed=self.seed * 1000 + attempt,
        )
        reached = float(self.log["result_completed_samples_per_sec"])
        queries = int(self.log["result_query_count"])
        return Answered(latencies, queries, queries / reached, reached)

    def _run(
        self, scenario: str, sizes: tuple[int, ...], trace: bool, **wanted: Any
    ) -> tuple[list[float], tuple[float, ...]]:
        """Runs a test; returns the ends of the batches and the traced latencies of the queries."""
        loadgen = load()
        settings = loadgen.TestSettings()
        settings.scenario = getattr(loadgen.TestScenario, scenario)
        settings.mode = loadgen.TestMode.PerformanceOnly
        seeds = dict.fromkeys(("qsl_rng_seed", "sample_index_rng_seed"), self.seed)
        for name, value in {**seeds, **wanted}.items():
            setattr(settings, name, value)
        asked = _Asked(loadgen, self.answer, self.pictures, sizes, self.watch)
        count = len(self.pictures)
        with tempfile.TemporaryDirectory() as folder:
            library = loadgen.ConstructQSL(count, count, _nothing, _nothing)
            system = loadgen.ConstructFastSUT(asked.issue, _nothing)
            try:
                loadgen.StartTestWithLogSettings(
                    system,
                    library,
                    settings,
                    _log_settings(loadgen, folder, trace),
                    str(Path(folder) / "no-audit.config"),  # or LoadGen reads one that lies about
                )
            finally:
                loadgen.DestroySUT(system)
                loadgen.DestroyQSL(library)
            if asked.error is not None:
                raise asked.error
            self.log = read_log(Path(folder) / "mlperf_log_detail.txt")
            latencies = read_trace(Path(folder) / "mlperf_log_trace.json") if trace else ()
        return asked.moments, latencies


class _Asked:
    """The system under test: answers what LoadGen hands over, in batches of allowed sizes.

    LoadGen's clock runs meanwhile, and after a model has run Python is slow (its data has left the
    caches), so that little is done here: the address of the answers is asked for only once.
    """

    def __init__(
        self,
        loadgen: Any,
        answer: Answer,
        pictures: Pictures,
        sizes: tuple[int, ...],
        watch: Watch,
    ) -> None:
        self._response, self._done = loadgen.QuerySampleResponse, loadgen.QuerySamplesComplete
        self._answer, self._pictures, self._sizes = answer, pictures, sizes
        self._now = watch.now
        self._room: Answers | None = None
        self._address = self._bytes = 0
        self.moments: list[float] = []
        self.error: BaseException | None = None

    def issue(self, ids: list[int], indices: list[int]) -> None:
        """Answers all samples of a query. An exception must not pass through C++: it is kept."""
        if not self.moments:
            self.moments.append(self._now())
        count = len(ids)
        if count == 1:
            self._complete(ids, self._pictures[indices[0] : indices[0] + 1])
            return
        first = 0
        while first < count:
            last = first + largest_batch(count - first, self._sizes)
            self._complete(ids[first:last], self._pictures[indices[first:last]])
            first = last

    def _complete(self, ids: list[int], pictures: Pictures) -> None:
        if self.error is None:
            try:
                self._keep(self._answer(pictures))
            except BaseException as error:
                self.error, self._address, self._bytes = error, 0, 0
        response, address, size = self._response, self._address, self._bytes
        self._done([response(one, address + row * size, size) for row, one in enumerate(ids)])
        self.moments.append(self._now())

    def _keep(self, answers: Answers) -> None:
        """Puts answers where LoadGen can read them."""
        if self._room is None:
            self._room = np.zeros((max(self._sizes), *answers.shape[1:]), answers.dtype)
            self._address, self._bytes = self._room.ctypes.data, self._room[0].nbytes
        self._room[: len(answers)] = answers


def _log_settings(loadgen: Any, folder: str, trace: bool) -> Any:
    output = loadgen.LogOutputSettings()
    output.outdir = folder
    output.copy_summary_to_stdout = False
    settings = loadgen.LogSettings()
    settings.log_output = output
    settings.enable_trace = trace
    return settings


def _nothing(_: Sequence[int] = ()) -> None:
    """Samples lie in memory already, and nothing is held back that could be flushed."""
