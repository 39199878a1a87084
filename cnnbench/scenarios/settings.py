"""What a scenario is run with, and what MLPerf's rules ask for. Imports nothing heavy.

Sources: "MLPerf Inference Rules" (mlcommons/inference_policies, inference_rules.adoc, sections
"Scenarios" and "Early Stopping Criterion") and LoadGen (mlcommons/inference, loadgen/). MLPerf is a
trademark of MLCommons; nothing that is measured here is an MLPerf result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from cnnbench.measurements import ScenarioName

Driver = Literal["cnnbench", "loadgen"]

SCENARIOS: tuple[ScenarioName, ...] = get_args(ScenarioName)
DRIVERS: tuple[Driver, ...] = get_args(Driver)

RULED_SECONDS = 600.0
RULED_OFFLINE_PICTURES = 24_576  # or as many as the data set has, if that is less
PERCENTILES: dict[ScenarioName, float] = {"single-stream": 0.9, "offline": 0.99, "server": 0.99}
CONFIDENCE = 0.99
# The fewest queries of which early stopping can discard any: one late query may be among them.
MINIMUM_QUERIES: dict[ScenarioName, int] = {"single-stream": 64, "offline": 1, "server": 662}


@dataclass(frozen=True)
class ScenarioSettings:
    """How one scenario is run.

    `seconds` is the shortest run that counts; MLPerf's rules want 600. `batch_size` is that of
    `offline`, and the most pictures that `server` answers at once (of those that wait; 1 is none).
    `latency_bound_seconds` is for `server`: 99 % of the queries must be answered so soon after
    they came. 15 ms is what the rules have for image classification (ResNet-50).
    `search_seconds` is the length of the tries that look for the server's highest rate, `tries`
    the most of them, and `rate_step` the ratio of two rates that needs no further try. The rate
    that was found is run afresh, for `seconds`; it steps back until one of so many `confirmations`
    holds the bound.
    """

    scenario: ScenarioName
    seconds: float = 10.0
    batch_size: int = 1
    latency_bound_seconds: float = 0.015
    driver: Driver = "cnnbench"
    search_seconds: float = 2.5
    tries: int = 12
    confirmations: int = 6
    rate_step: float = 1.05
    warmup_queries: int = 10
    query_seed: int = 0

    def __post_init__(self) -> None:
        problems = [
            *_unknown("scenario", self.scenario, SCENARIOS),
            *_unknown("driver", self.driver, DRIVERS),
        ]
        for name in ("seconds", "search_seconds", "latency_bound_seconds"):
            if not getattr(self, name) > 0:
                problems.append(
                    f"Expected {name} to be above 0. Received: {name}={getattr(self, name)}"
                )
        for name in ("batch_size", "tries", "confirmations", "warmup_queries"):
            if getattr(self, name) < 1:
                problems.append(
                    f"Expected {name} to be at least 1. Received: {name}={getattr(self, name)}"
                )
        if not self.rate_step > 1:
            problems.append(
                f"Expected rate_step to be above 1. Received: rate_step={self.rate_step}"
            )
        if self.scenario == "single-stream" and self.batch_size != 1:
            problems.append(
                "Expected batch_size 1 for single-stream, which asks about one picture at a time. "
                f"Received: batch_size={self.batch_size}"
            )
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True)
class Identity:
    """Whose answers they are: the fields that a `ScenarioRun` shares with other records."""

    variant: str
    seed: int
    backend: str
    device: str
    dtype: str
    threads: int
    fingerprint: str


def _unknown(name: str, value: str, known: tuple[str, ...]) -> list[str]:
    if value in known:
        return []
    return [f"Expected {name} to be one of {', '.join(known)}. Received: {name}={value!r}"]
