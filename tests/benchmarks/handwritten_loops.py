"""Does cnnbench report the speed that a loop written by hand has? Both in turn, in pairs.

    python tests/benchmarks/handwritten_loops.py --backend jax --workload inference --pairs 30
    python tests/benchmarks/handwritten_loops.py --all --processes 12 --pairs 30 --out hand.csv

The documented network at batch size 32 on the CPU, float32. Each fresh process builds the loop of
`handwritten/on_<backend>.py` and cnnbench's program from the same weights, makes sure that both
compute the same, and times rounds of about 70 ms of either side in turn, in an order drawn by lot
for each pair. A ratio is cnnbench's images per second over those of the loop by hand.

Intervals are of 95 %. Over processes: Student's t of each process' median logarithm. Over pairs:
Hodges and Lehmann's of all pairs' ratios, pooled; pairs of one process share its memory layout and
are not independent, so that the former counts where there are three processes or more. The same
by CPU seconds tells on a busy machine, on one thread, whether cnnbench makes more work; with more
threads it counts their waiting too. Exits with 1 unless every interval is within `--tolerance`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from cnnbench.backends import BACKENDS, TRAINING_BACKENDS, worker_variables
from cnnbench.stats.intervals import mean_of
from cnnbench.stats.paired import hodges_lehmann

CHILD = Path(__file__).with_name("handwritten_pairs.py")
FEWEST_PROCESSES = 3  # with fewer, Student's t says next to nothing


def main() -> int:
    wanted = arguments()
    backends = [wanted.backend] if wanted.backend else list(BACKENDS)
    workloads = [wanted.workload] if wanted.workload else ["train", "inference"]
    kinds = [
        (backend, workload)
        for backend in backends
        for workload in workloads
        if workload == "inference" or backend in TRAINING_BACKENDS
    ]
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        exported, result = Path(folder, "network.onnx"), Path(folder, "result.json")
        if any(backend not in TRAINING_BACKENDS for backend, _ in kinds):
            child("tensorflow", "export", 0, wanted, exported, result)
        for process in range(wanted.processes):  # all kinds in turn: no one has the quiet hour
            for kind in kinds:
                child(*kind, process, wanted, exported, result)
                found.setdefault(kind, []).append(json.loads(result.read_text()))
                rows = [row_of(*one, runs, wanted) for one, runs in found.items()]
                keep(rows, found, wanted)  # now, so that an interrupted run is worth something
                last = row_of(*kind, found[kind][-1:], wanted)
                print(f"process {process + 1}: {line(last)}", flush=True)
    write(rows, sys.stdout)
    return int(any(row["within"] != "yes" for row in rows))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--workload", choices=("train", "inference"))
    parser.add_argument("--all", action="store_true", help="every backend and workload")
    parser.add_argument("--pairs", type=int, default=30, help="of rounds, in each process")
    parser.add_argument("--processes", type=int, default=1, help="fresh ones, one after the other")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=0.02)
    parser.add_argument("--out", type=Path, help="the printed rows, as CSV")
    parser.add_argument("--raw", type=Path, help="the seconds of every round, as JSON")
    wanted = parser.parse_args()
    if not (wanted.all or wanted.backend):
        parser.error("expected --backend, or --all")
    if (wanted.backend, wanted.workload) in (("openvino", "train"), ("onnxruntime", "train")):
        parser.error(f"{wanted.backend} does not train")
    return wanted


def keep(rows: list[dict[str, Any]], found: dict[Any, Any], wanted: argparse.Namespace) -> None:
    if wanted.out:
        with wanted.out.open("w", newline="") as file:
            write(rows, file)
    if wanted.raw:
        wanted.raw.write_text(json.dumps({"/".join(kind): runs for kind, runs in found.items()}))


def write(rows: list[dict[str, Any]], file: Any) -> None:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def child(
    backend: str,
    workload: str,
    process: int,
    wanted: argparse.Namespace,
    exported: Path,
    result: Path,
) -> None:
    given = (backend, workload, wanted.threads, wanted.pairs, process, exported, result)
    environment = os.environ | worker_variables(backend, "cpu", wanted.threads)
    subprocess.run([sys.executable, str(CHILD), *map(str, given)], env=environment, check=True)


def row_of(
    backend: str, workload: str, processes: list[dict[str, Any]], wanted: argparse.Namespace
) -> dict[str, Any]:
    """Returns what is printed of one backend and workload."""
    logs = [logarithms(one, "") for one in processes]
    cpu, over_cpu = hodges_lehmann(
        [value for one in processes for value in logarithms(one, "cpu_")]
    )
    middle, over_pairs = hodges_lehmann([value for one in logs for value in one])
    by_process = mean_of([median(one) for one in logs])
    over_processes = by_process.interval()
    counts = len(processes) >= FEWEST_PROCESSES
    decisive = over_processes if counts else over_pairs
    low, high = math.exp(decisive.low), math.exp(decisive.high)
    tolerance = wanted.tolerance
    inside = 1 - tolerance <= low and high <= 1 + tolerance
    outside = high < 1 - tolerance or low > 1 + tolerance
    return {
        "backend": backend,
        "workload": workload,
        "processes": len(processes),
        "pairs": sum(map(len, logs)),
        "ratio": f"{math.exp(by_process.value if counts else middle):.4f}",
        "low": f"{low:.4f}",
        "high": f"{high:.4f}",
        "interval_over": "processes" if counts else "pairs",
        "within": "yes" if inside else ("no" if outside else "undecided"),
        "ratio_pairs": f"{math.exp(middle):.4f}",
        "low_pairs": f"{math.exp(over_pairs.low):.4f}",
        "high_pairs": f"{math.exp(over_pairs.high):.4f}",
        "ratio_cpu": f"{math.exp(cpu):.4f}",
        "low_cpu": f"{math.exp(over_cpu.low):.4f}",
        "high_cpu": f"{math.exp(over_cpu.high):.4f}",
        "cnnbench_images_per_second": rate(processes, "cnnbench"),
        "handwritten_images_per_second": rate(processes, "hand"),
        "largest_difference": f"{max(one['difference'] for one in processes):.1e}",
        "threads": wanted.threads,
        "backend_version": version(backend),
        "keras_version": version("keras"),
    }


def logarithms(one: dict[str, Any], clock: str) -> list[float]:
    """Returns the logarithm of each pair's ratio;"""
    own, hand = one[f"{clock}cnnbench"], one[f"{clock}hand"]
    return [math.log(b / a) for a, b in zip(own, hand, strict=True)]


def rate(processes: list[dict[str, Any]], side: str) -> str:
    rates = [
        one["steps"] * one["batch_size"] / seconds for one in processes for seconds in one[side]
    ]
    return f"{median(rates):.0f}"


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['backend']} {row['workload']} {row['ratio_pairs']} "
        f"({row['low_pairs']} to {row['high_pairs']}), by CPU seconds {row['ratio_cpu']} "
        f"({row['low_cpu']} to {row['high_cpu']}), "
        f"{row['cnnbench_images_per_second']} and {row['handwritten_images_per_second']} images/s"
    )


if __name__ == "__main__":
    sys.exit(main())
