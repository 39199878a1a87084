"""What the plugin's fixtures of speed do: find the place, measure, show the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin.clock import CLOCK, show_rounds
from cnnbench.plugin.collection import WORKLOAD_OF
from cnnbench.plugin.lifecycle import options_of, params_of
from cnnbench.plugin.training_fixtures import awaited, usable
from cnnbench.session.option_parsers import SWEEP

if TYPE_CHECKING:
    from cnnbench.machine.place import Place
    from cnnbench.models.variants import Variant
    from cnnbench.records.measurements import Measurement, Workload
    from cnnbench.session.session import Session
    from cnnbench.session.workers.jobs import Measure


def present(request: pytest.FixtureRequest) -> str:
    """Returns the parameter, a backend or a device, or skips the test where it is absent."""
    value = str(request.param)
    params = params_of(request.node)
    bench = usable(request)
    backend = str(params.get("cnnbench_backend", bench.options.training_backend()))
    why = bench.why_absent(backend, str(params.get("cnnbench_device", "cpu")))
    if why is not None:
        pytest.skip(why)
    return value


def wanted_of(bench: Session, item: pytest.Item) -> tuple[tuple[Place, Measure], ...]:
    """Returns the row that a test measures or judges, for what is measured process by process."""
    params = params_of(item)
    names = getattr(item, "fixturenames", ())
    workload = next((WORKLOAD_OF[name] for name in names if name in WORKLOAD_OF), None)
    workload = params.get("cnnbench_workload", workload)
    if workload is None or "cnnbench_variant" not in params:
        return ()
    if params.get("cnnbench_batch_size", SWEEP) == SWEEP:
        return ()
    return (_wanted(bench, item, params["cnnbench_variant"], workload),)


def _wanted(
    bench: Session, item: Any, variant: Variant, workload: Workload, once: bool = False
) -> tuple[Place, Measure]:
    options, params = options_of(item), params_of(item)
    size = params.get("cnnbench_batch_size", options.batch_sizes[0])
    place = bench.measuring_place(
        str(params.get("cnnbench_backend", options.training_backend())),
        str(params.get("cnnbench_device", "cpu")),
    )
    job = bench.measure_job(
        variant,
        workload,
        dtype=str(params.get("cnnbench_dtype", "float32")),
        batch_size=0 if size == SWEEP else int(size),
        rounds=1 if once else options.rounds,
        warmup_rounds=0 if once else options.warmup_rounds,
    )
    return place, job


def measured(
    request: pytest.FixtureRequest, variant: Variant, workload: Workload
) -> tuple[Measurement, ...]:
    """Returns what was measured: one per process, or one per batch size of a sweep."""
    # --benchmark-disable: does it run at all? once, and no warm-up
    once = bool(request.getfixturevalue("benchmark").disabled)

    def measure(bench: Session) -> tuple[Measurement, ...]:
        place, job = _wanted(bench, request.node, variant, workload, once)
        measurer = bench.measurer()
        measurer.peak(place, job.row.dtype)
        if job.row.batch_size:
            return measurer.measurements(place, job)
        return measurer.sweep(place, job)

    return awaited(request, measure)


def throughput(
    request: pytest.FixtureRequest, benchmark: Any, variant: Variant, workload: Workload
) -> Measurement:
    """Returns the measurement, the fastest of a sweep, and shows its rounds."""
    from cnnbench.report.rows import throughput_row

    found = measured(request, variant, workload)
    best = max(found, key=lambda one: one.images_per_second)
    if best.out_of_memory:
        pytest.skip(
            f"batch size {best.row.batch_size} does not fit into memory; throughput.csv has the row"
        )
    shown = found if all(one.row.batch_size == best.row.batch_size for one in found) else (best,)
    show_rounds(benchmark, request.node.stash[CLOCK], _seconds_a_picture(shown))
    known = usable(request).finished_runs(variant)
    row = {name: value for name, value in throughput_row(best).items() if value is not None}
    benchmark.extra_info.update(row)
    benchmark.extra_info["accuracy"] = (
        sum(one.val_accuracy for one in known) / len(known) if known else None
    )
    return best


def _seconds_a_picture(found: Sequence[Measurement]) -> list[float]:
    return [
        seconds / (one.steps_per_round * one.row.batch_size)
        for one in found
        for seconds in one.round_seconds
    ]
