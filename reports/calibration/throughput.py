"""Does the throughput gate keep its error rates on this machine? Real pairs of fresh processes.

    python reports/calibration/throughput.py --condition idle --out raw/idle.csv

Measures one pair after the other: two of A against an equal A, then one of A against an A with
extra work. With `--condition busy` a neighbour process computes all the while. `timings.py` cuts
the raw timings into comparisons and turns them into rates.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnnbench.ab.pairs import Bench, open_bench, time_in_alternation
from cnnbench.ab.sides import Side, placed
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.pictures.data_set import load_splits
from cnnbench.pictures.drawn_set import drawn_set_directory
from cnnbench.pictures.pixels import default_cache_directory

BATCH = 1  # a step is short enough for 20 of them a round, so that one more is 5 % more work
STEPS = 20
EXTRA = {"idle": 1, "busy": 2}  # steps more: 5 % where it is quiet, 10 % beside a neighbour
PLANTED_EVERY = 3
PAIRS_A_TEMPLATE = 100  # new templates now and then, so that no chance of one of them lasts
NEIGHBOUR = "import numpy as np\na = np.random.rand(500, 500)\nwhile True: a @ a"
COLUMNS = ("condition", "planted", "pair", "round", "a", "b", "cpu_a", "cpu_b")


@contextmanager
def neighbour(condition: str) -> Iterator[None]:
    """A process that keeps one CPU busy, for `busy`."""
    if condition != "busy":
        yield
        return
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env=variables)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--condition", choices=tuple(EXTRA), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first pair")
    parser.add_argument("--no-neighbour", action="store_true", help="somebody else is busy")
    parsed = parser.parse_args()
    parsed.out.parent.mkdir(parents=True, exist_ok=True)
    cache = default_cache_directory()
    splits = load_splits(drawn_set_directory(cache), cache=cache)
    place = Place("tensorflow", "cpu", 1)
    sides = [Side(name, variant_named("documented"), place, batch_size=BATCH) for name in "AB"]
    makes_noise = "idle" if parsed.no_neighbour else parsed.condition
    with (
        neighbour(makes_noise),
        parsed.out.open("a", newline="") as lines,
        placed(sides, Path.cwd()) as here,
    ):
        writer = csv.writer(lines)
        if not lines.tell():
            writer.writerow(COLUMNS)
        last = parsed.first + parsed.pairs
        for block in range(parsed.first, last, PAIRS_A_TEMPLATE):
            with open_bench(here, splits, workload="inference", seed=block) as bench:
                for number in range(block, min(block + PAIRS_A_TEMPLATE, last)):
                    _keep(bench, number, parsed.condition, writer)
                    lines.flush()


def _keep(bench: Bench, number: int, condition: str, writer: Any) -> None:
    extra = EXTRA[condition] if number % PLANTED_EVERY == PLANTED_EVERY - 1 else 0
    rng = np.random.default_rng(number)
    with bench.processes(number, rng) as timers:
        b = timers["B"]
        planted = {**timers, "B": lambda steps: b(steps + extra)}
        rounds = time_in_alternation(planted, STEPS, rng)
    for turn, each in enumerate(rounds):
        key = (condition, extra / STEPS, number, turn)
        values = (each.a.wall, each.b.wall, each.a.cpu, each.b.cpu)
        writer.writerow((*key, *(f"{value:.7f}" for value in values)))
    print(f"{number}, +{extra / STEPS:.0%}", flush=True)


if __name__ == "__main__":
    main()
