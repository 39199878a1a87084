"""From what came of a run to its record, and what the record says of MLPerf's rules."""

from __future__ import annotations

from dataclasses import dataclass

from cnnbench.measurements import ScenarioRun
from cnnbench.scenarios import early_stopping
from cnnbench.scenarios.queries import Answered
from cnnbench.scenarios.settings import (
    CONFIDENCE,
    PERCENTILES,
    RULED_OFFLINE_PICTURES,
    RULED_SECONDS,
    Identity,
    ScenarioSettings,
)


@dataclass(frozen=True)
class Result:
    """What becomes of a run: the rate to report, whether the rules hold, and remarks."""

    answered: Answered
    rate: float
    is_valid: bool
    remarks: tuple[str, ...] = ()


def record_of(
    result: Result, settings: ScenarioSettings, identity: Identity, pool: int
) -> ScenarioRun:
    """Returns the record of a scenario; `pool` is the number of pictures that were drawn from."""
    answered, scenario = result.answered, settings.scenario
    offline, percentile = scenario == "offline", PERCENTILES[scenario]
    latencies = answered.latency_seconds
    return ScenarioRun(
        scenario=scenario,
        driver=settings.driver,
        variant=identity.variant,
        seed=identity.seed,
        backend=identity.backend,
        device=identity.device,
        dtype=identity.dtype,
        batch_size=settings.batch_size,
        threads=identity.threads,
        queries=answered.queries,
        seconds=answered.seconds,
        queries_per_second=result.rate,
        percentile=percentile,
        percentile_seconds=(
            None if offline else early_stopping.percentile_bound(latencies, percentile)
        ),
        confidence=CONFIDENCE,
        latency_bound_seconds=settings.latency_bound_seconds if scenario == "server" else None,
        latency_seconds=latencies,
        is_valid=result.is_valid,
        detail=_detail(result, settings, pool),
        fingerprint=identity.fingerprint,
    )


def _detail(result: Result, settings: ScenarioSettings, pool: int) -> str:
    answered = result.answered
    parts = list(result.remarks)
    if settings.scenario == "offline":
        wanted = min(RULED_OFFLINE_PICTURES, pool)
        long_enough = answered.queries >= wanted
        parts.append(f"{answered.queries} of at least {wanted} pictures")
    else:
        long_enough = True
        latencies = answered.latency_seconds
        p50, p99 = (early_stopping.nearest_rank(latencies, share) for share in (0.5, 0.99))
        parts.append(f"p50 {p50 * 1e3:.3g} ms, p99 {p99 * 1e3:.3g} ms")
    length = f"{answered.seconds:.3g} s of {RULED_SECONDS:g} s"
    if long_enough and answered.seconds >= RULED_SECONDS:
        parts.append(f"as long as MLPerf's rules want ({length})")
    else:
        parts.append(f"scaled down from MLPerf's rules ({length})")
    return "; ".join([*parts, "unofficial"])
