"""One scenario from warm-up to record."""

from __future__ import annotations

import math
from collections.abc import Callable

from cnnbench.measurements import ScenarioRun
from cnnbench.scenarios import early_stopping
from cnnbench.scenarios.loadgen import LoadGenDriver, load
from cnnbench.scenarios.outcome import Result, record_of
from cnnbench.scenarios.own import OwnDriver
from cnnbench.scenarios.queries import (
    Answer,
    Answered,
    Pictures,
    Runner,
    batch_sizes,
    whole_batches,
)
from cnnbench.scenarios.search import highest_rate
from cnnbench.scenarios.settings import (
    MINIMUM_QUERIES,
    PERCENTILES,
    Identity,
    ScenarioSettings,
)
from cnnbench.scenarios.watch import REAL, Watch

OFFLINE_SLACK = 1.1  # LoadGen's: more pictures than the estimate says, so as not to end too soon
OFFLINE_RUNS = 3


def run_scenario(
    answer: Answer,
    pictures: Pictures,
    settings: ScenarioSettings,
    identity: Identity,
    *,
    clock: Watch = REAL,
) -> ScenarioRun:
    """Runs one of MLPerf's scenarios, by its rules but for the length. Unofficial.

    Args:
        answer: takes pictures of shape `(n, height, width, 3)`, uint8, and returns answers of shape
            `(n, outputs)`, float32, both on the host; it returns when they are there.
        pictures: the pool that queries are drawn from, of shape `(pictures, height, width, 3)`.
        settings: which scenario, and how.
        identity: whose answers they are.
        clock: tells and waits for the time.

    Returns:
        The record. `is_valid` says that the run was as long as `settings.seconds` and that MLPerf's
        rule of early stopping holds (single-stream, server); `detail` says how far it is from the
        600 s, and for offline the number of pictures, that MLPerf's rules want.

    Raises:
        ValueError: if there are no pictures, or LoadGen is asked for and not installed.
    """
    if pictures.ndim != 4 or len(pictures) == 0:
        raise ValueError(
            "Expected at least one picture, of shape (pictures, height, width, channels). "
            f"Received: shape={pictures.shape}"
        )
    if settings.driver == "loadgen":
        load()  # says so if it is absent, before the warm-up
    fastest = _warm_up(answer, pictures, settings, clock)
    runner: Runner
    if settings.driver == "loadgen":
        # Half the shortest time so far: LoadGen must not run out of queries.
        runner = LoadGenDriver(
            answer,
            pictures,
            settings.batch_size,
            settings.query_seed,
            expected_seconds=fastest[1] / 2 if 1 in fastest else 1.0,
            watch=clock,
        )
    else:
        runner = OwnDriver(answer, pictures, settings.batch_size, settings.query_seed, clock)
    run: dict[str, Callable[[], Result]] = {
        "single-stream": lambda: _single_stream(runner, settings),
        "offline": lambda: _offline(runner, settings, fastest[settings.batch_size]),
        "server": lambda: _server(runner, settings, fastest),
    }
    return record_of(run[settings.scenario](), settings, identity, len(pictures))


def _warm_up(
    answer: Answer, pictures: Pictures, settings: ScenarioSettings, clock: Watch
) -> dict[int, float]:
    """Compiles the program of each size of a batch; returns the shortest seconds of each."""
    server = settings.scenario == "server"
    sizes = batch_sizes(settings.batch_size) if server else (settings.batch_size,)
    fastest = {}
    for size in sizes:
        batch = pictures[[place % len(pictures) for place in range(size)]]
        answer(batch)  # the first builds and compiles
        seconds = []
        for _ in range(settings.warmup_queries):
            start = clock.now()
            answer(batch)
            seconds.append(clock.now() - start)
        fastest[size] = min(seconds)
    return fastest


def _single_stream(runner: Runner, settings: ScenarioSettings) -> Result:
    answered = runner.single_stream(
        seconds=settings.seconds, minimum_queries=MINIMUM_QUERIES["single-stream"]
    )
    enough = answered.queries >= MINIMUM_QUERIES["single-stream"]
    # A run ends with the answer to the first query that was issued late enough.
    return Result(answered, answered.rate, enough and answered.seconds >= settings.seconds)


def _offline(runner: Runner, settings: ScenarioSettings, batch_seconds: float) -> Result:
    rate = settings.batch_size / batch_seconds
    for _ in range(OFFLINE_RUNS):
        wanted = math.ceil(OFFLINE_SLACK * rate * settings.seconds)
        pictures = whole_batches(wanted, settings.batch_size)
        answered = runner.offline(pictures=pictures, batch_size=settings.batch_size)
        if answered.seconds >= settings.seconds:
            break
        rate = answered.rate  # one query can't be made longer: the next one is
    return Result(answered, answered.rate, answered.seconds >= settings.seconds)


def _server(runner: Runner, settings: ScenarioSettings, fastest: dict[int, float]) -> Result:
    attempts = 0

    def serve(rate: float, seconds: float) -> Answered:
        nonlocal attempts
        attempts += 1  # each with its own arrivals
        return runner.server(
            rate=rate,
            seconds=seconds,
            minimum_queries=MINIMUM_QUERIES["server"],
            bound=settings.latency_bound_seconds,
            attempt=attempts,
        )

    def holds(answered: Answered) -> bool:
        return holds_bound(answered.latency_seconds, settings.latency_bound_seconds)

    ceiling = max(size / seconds for size, seconds in fastest.items())
    found = highest_rate(
        lambda rate: holds(serve(rate, settings.search_seconds)),
        ceiling,
        tries=settings.tries,
        step=settings.rate_step,
    )
    tried = f"{found.tries} tries of {settings.search_seconds:g} s each or longer came before"
    if found.rate is None:
        answered = serve(ceiling / 2, settings.search_seconds)
        return Result(answered, 0.0, False, ("no rate held the bound", tried))
    rate = found.rate
    for confirmation in range(1, settings.confirmations + 1):
        answered = serve(rate, settings.seconds)
        if holds(answered):
            remark = f"rate confirmed by fresh run {confirmation}"
            return Result(answered, rate, True, (remark, tried))
        rate /= settings.rate_step**confirmation  # ever larger steps back: 5 %, then 10 %, 15 %
    fails = f"no rate was confirmed in {settings.confirmations} fresh runs"
    return Result(answered, 0.0, False, (fails, tried))


def holds_bound(latencies: tuple[float, ...], bound: float) -> bool:
    """Returns whether so few queries were late that early stopping lets the run pass.

    MLPerf's criterion for server: with `t` late queries, at least `queries_in_time(t)` others.
    """
    late = sum(latency > bound for latency in latencies)
    allowed = early_stopping.late_allowed(len(latencies), PERCENTILES["server"])
    return allowed is not None and late <= allowed
