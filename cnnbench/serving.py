"""One of MLPerf's scenarios on a variant's program. Runs in a worker."""

from __future__ import annotations

from pathlib import Path

from cnnbench.agreement import Reference
from cnnbench.engines.choice import Recipe, engine_for, program_for
from cnnbench.images.dataset import Splits
from cnnbench.measurements import ScenarioName, ScenarioRun
from cnnbench.places import Place
from cnnbench.scenarios.run import run_scenario
from cnnbench.scenarios.settings import DRIVERS, Identity, ScenarioSettings
from cnnbench.variants import Variant

SEARCH_SHARE = 4  # tries that look for the server's rate are so much shorter than what confirms it
POOL = 1024  # pictures that queries are drawn from: MLPerf's "performance sample count"


def serve(
    scenario: ScenarioName,
    variant: Variant,
    splits: Splits,
    place: Place,
    dtype: str,
    batch_size: int,
    seed: int,
    *,
    seconds: float,
    latency_bound: float,
    driver: str,
    reference: Path,
    exported: Path | None,
) -> ScenarioRun:
    """Runs a scenario in this process, on held-out pictures, from host to host.

    Args:
        scenario: `single-stream`, `offline` or `server`.
        variant: what answers.
        splits: pictures.
        place: backend, device and threads, as they stand in this process.
        dtype: that the model computes in.
        batch_size: of `offline`, and the most that `server` answers at once.
        seed: of the weights.
        seconds: shortest run.
        latency_bound: seconds that 99 % of the server's queries must hold.
        driver: `cnnbench` or `loadgen`.
        reference: file of the weights.
        exported: ONNX file of the same, for backends that run such.
    """
    known = next(name for name in DRIVERS if name == driver)
    size = 1 if scenario == "single-stream" else batch_size
    recipe = Recipe(
        variant,
        "inference",
        dtype,
        size,
        seed,
        splits.input_shape,
        len(splits.classes),
        Reference.load(reference).weights,
        exported,
    )
    engine = engine_for(place.backend, place.device, place.threads)
    bench = program_for(engine, place.backend, recipe)
    return run_scenario(
        bench.program.answer,
        splits.validation_pictures()[:POOL],
        ScenarioSettings(
            scenario,
            seconds=seconds,
            search_seconds=seconds / SEARCH_SHARE,
            batch_size=size,
            latency_bound_seconds=latency_bound,
            driver=known,
        ),
        Identity(
            variant.name,
            seed,
            place.backend,
            place.device,
            dtype,
            place.threads,
            variant.fingerprint(),
        ),
    )
