"""Measures cnnbench's own scenario driver and MLPerf's LoadGen in turn on one real model.

    python tests/benchmarks/loadgen_agreement.py --pairs 200 --seconds 0.5 --out pairs.csv

Each pair is one short run of either driver, in alternating order, in one process and with the same
answer function: a shared machine changes its speed slowly beside that, so that the ratio in a pair
is worth more than two long runs. Prints LoadGen over cnnbench, with Student's t interval of the
mean logarithm over pairs, and Hodges and Lehmann's, which a neighbour's bursts move less. `p10` is
the latency that a tenth is below: what a query costs while nobody disturbs it. Exits with 1 where
a t interval is not within `--tolerance`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

STATISTICS = (
    "single_stream_queries_per_second",
    "single_stream_mean",
    "single_stream_p10",
    "single_stream_p50",
    "single_stream_p90",
    "single_stream_p90_by_driver",
    "offline_pictures_per_second",
    "offline_batch_p10",
)
MINIMUM_QUERIES = 64
POOL = 256
HELD = ("single_stream_queries_per_second", "single_stream_p50", "offline_pictures_per_second")


def main() -> int:
    wanted = arguments()
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = str(wanted.threads)
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    from cnnbench.scenarios.loadgen import LoadGenDriver
    from cnnbench.scenarios.own import OwnDriver

    answer, pictures = model_and_pictures(wanted.variant)
    expected = fastest(answer, pictures[:1])
    rate = wanted.batch_size / fastest(answer, pictures[: wanted.batch_size])
    batches = math.ceil(rate * wanted.seconds / wanted.batch_size)
    offline = {"pictures": batches * wanted.batch_size, "batch_size": wanted.batch_size}
    traced = LoadGenDriver(answer, pictures, expected_seconds=expected / 2, trace=wanted.trace)
    drivers = {"cnnbench": OwnDriver(answer, pictures), "loadgen": traced}
    order = list(drivers)
    rows = []
    for pair in range(-1, wanted.pairs):  # the first is thrown away
        row: dict[str, float] = {"pair": pair}
        for name in order:
            driver = drivers[name]
            row |= {f"{name}_{key}": value for key, value in one(driver, wanted, offline).items()}
        order.reverse()
        if pair >= 0:
            rows.append(row)
    if wanted.out:
        with wanted.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    conditions(wanted)
    return report(rows, wanted.tolerance)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one run of one scenario")
    parser.add_argument("--variant", default="documented")
    parser.add_argument("--batch-size", type=int, default=32, help="of offline")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tolerance", type=float, default=0.03)
    parser.add_argument(
        "--no-trace",
        dest="trace",
        action="store_false",
        help="single-stream without LoadGen's trace, by the percentiles that it reports",
    )
    parser.add_argument("--out", type=Path, help="raw figures of every pair, as CSV")
    return parser.parse_args()


def model_and_pictures(variant):
    import keras
    import numpy as np
    import tensorflow as tf

    from cnnbench.model import build_model
    from cnnbench.variants import variant_named

    keras.utils.set_random_seed(0)
    model = build_model(variant_named(variant))
    compiled = tf.function(lambda pictures: model(pictures, training=False), reduce_retracing=True)
    pictures = np.random.default_rng(0).integers(256, size=(POOL, 64, 64, 3), dtype=np.uint8)
    return lambda batch: compiled(tf.constant(batch)).numpy(), pictures


def fastest(answer, batch, calls: int = 30) -> float:
    """Returns the shortest seconds of a call, after as many to warm up."""
    seconds = []
    for _ in range(2 * calls):
        start = time.perf_counter()
        answer(batch)
        seconds.append(time.perf_counter() - start)
    return min(seconds[calls:])


def one(driver, wanted, offline) -> dict[str, float]:
    """Runs both scenarios once; returns the statistics, latencies in seconds."""
    from cnnbench.scenarios.early_stopping import nearest_rank

    stream = driver.single_stream(seconds=wanted.seconds, minimum_queries=MINIMUM_QUERIES)
    log = getattr(driver, "log", {})
    latencies = stream.latency_seconds
    found = {"single_stream_queries_per_second": stream.rate}
    if latencies:
        found["single_stream_mean"] = sum(latencies) / len(latencies)
        found["single_stream_p10"] = nearest_rank(latencies, 0.1)
        found["single_stream_p50"] = nearest_rank(latencies, 0.5)
        found["single_stream_p90"] = nearest_rank(latencies, 0.9)
        found["single_stream_p90_by_driver"] = found["single_stream_p90"]
    if log:
        names = {"mean": "mean", "p50": "50.00_percentile", "p90": "90.00_percentile"}
        for key, name in names.items():
            found.setdefault(f"single_stream_{key}", log[f"result_{name}_latency_ns"] / 1e9)
        found["single_stream_p90_by_driver"] = log["result_90.00_percentile_latency_ns"] / 1e9
    asked = driver.offline(**offline)
    found["offline_pictures_per_second"] = asked.rate
    found["offline_batch_p10"] = nearest_rank(asked.latency_seconds, 0.1)
    return found


def conditions(wanted) -> None:
    packages = ("keras", "tensorflow", "mlcommons_loadgen")
    print(
        f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, ", end=""
    )
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(
        f"{wanted.variant}, {wanted.threads} thread(s), offline batch {wanted.batch_size}, "
        f"{wanted.pairs} pairs of {wanted.seconds:g} s, trace {'on' if wanted.trace else 'off'}"
    )


def report(rows, tolerance: float) -> int:
    """Prints LoadGen over cnnbench for each statistic; returns 1 where it may be off."""
    import numpy as np

    from cnnbench.stats.intervals import mean_of
    from cnnbench.stats.paired import hodges_lehmann

    off = []
    print(
        f"{'statistic':34} {'cnnbench':>10} {'loadgen':>10}   mean, 95 %{'':15}Hodges-Lehmann, 95 %"
    )
    for name in STATISTICS:
        columns = [f"{driver}_{name}" for driver in ("cnnbench", "loadgen")]
        if any(column not in rows[0] for column in columns):
            continue  # LoadGen without a trace tells no tenth
        own, other = (np.array([row[column] for row in rows]) for column in columns)
        logs = np.log(other / own).tolist()
        estimate, (middle, robust) = mean_of(logs), hodges_lehmann(logs)
        interval = estimate.interval(0.95)
        low, high = math.exp(interval.low), math.exp(interval.high)
        print(
            f"{name:34} {np.median(own):10.6g} {np.median(other):10.6g}   "
            f"{math.exp(estimate.value):.4f} ({low:.4f} to {high:.4f})   "
            f"{math.exp(middle):.4f} ({math.exp(robust.low):.4f} to {math.exp(robust.high):.4f})"
        )
        if name in HELD and not (1 - tolerance <= low and high <= 1 + tolerance):
            off.append(name)
    print(f"not within {tolerance:.0%}: {', '.join(off)}" if off else f"within {tolerance:.0%}")
    return bool(off)


if __name__ == "__main__":
    sys.exit(main())
