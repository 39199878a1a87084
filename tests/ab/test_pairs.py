"""Pairs over fake sides and a fake clock: no process, no waiting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cnnbench.ab.bench import Bench
from cnnbench.ab.pairs import COLUMNS, ROUNDS, Pair, Round, Taken, steps_for, time_in_alternation
from cnnbench.ab.run import (
    append_pair,
    clocks_in_words,
    measure_until_decided,
    read_result,
    write_result,
)
from cnnbench.ab.sides import Folder, Side
from cnnbench.ab.steps import TimeSteps, cpus_for
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.records.records import Row
from cnnbench.verdicts.gates.ratio import RatioRule


class Machine:
    """Sides whose steps take fake seconds, a quarter on the CPU, and who worked when."""

    def __init__(self, a: float, b: float) -> None:
        self.work: list[str] = []
        seconds = {"A": a, "B": b}
        self.timers = {name: partial(self._time, name, each) for name, each in seconds.items()}

    def _time(self, name: str, seconds: float, steps: int) -> Taken:
        self.work.append(name)
        return Taken(steps * seconds, steps * seconds / 4)


def timed(machine: Machine, seed: int = 0) -> tuple[Round, ...]:
    return time_in_alternation(machine.timers, 2, np.random.default_rng(seed))


def pair_of(a: Sequence[float], b: Sequence[float], number: int = 0, batch_b: int = 32) -> Pair:
    """A pair whose rounds took these seconds, of which a quarter on the CPU; A and B take turns."""
    taken = [[Taken(each, each / 4) for each in side] for side in (a, b)]
    return Pair(number, 2, 32, batch_b, tuple(map(Round, "AB" * 3, *taken)))


# One pair


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [(0.01, 0.01, 4), (0.001, 0.01, 4), (0.01, 0.001, 4), (0.03, 0.03, 1), (0.016, 0.01, 2)],
)
def test_a_round_of_the_slower_side_is_long_enough(a: float, b: float, steps: int) -> None:
    assert steps_for(Machine(a, b).timers) == steps


def test_both_sides_work_once_a_round_in_an_order_that_is_drawn() -> None:
    machine = Machine(0.03, 0.06)
    rounds = timed(machine)
    assert len(machine.work) == 2 * (2 + ROUNDS)  # warm-up rounds, whose times are thrown away
    orders = [machine.work[at : at + 2] for at in range(4, len(machine.work), 2)]
    assert all(sorted(order) == ["A", "B"] for order in orders)
    assert [order[0] for order in orders] == [each.first for each in rounds]
    assert {each.first for each in rounds} == {"A", "B"}
    assert {(each.a.wall, each.b.wall) for each in rounds} == {(0.06, 0.12)}


def test_orders_depend_on_the_seed_alone() -> None:
    one, again, other = (timed(Machine(0.03, 0.03), seed) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize(
    ("a", "b", "batch_b", "ratio"),
    [
        ((1.0,) * 3, (2.0,) * 3, 32, 2.0),
        ((1.0,) * 3, (2.0,) * 3, 64, 1.0),
        ((1.0, 1.0, 9.0), (1.0,) * 3, 32, 1.0),
        ((1.0, 1.0, 2.0, 2.0, 1.0), (1.1, 3.0, 2.2, 2.2, 1.1), 32, 1.1),
    ],
    ids=["plain", "per picture", "one slow round", "a slow spell that ends between the sides"],
)
def test_the_ratio_is_the_median_of_the_rounds_ratios(
    a: Sequence[float], b: Sequence[float], batch_b: int, ratio: float
) -> None:
    found = pair_of(a, b, batch_b=batch_b).log_ratio()
    assert found == pytest.approx(math.log(ratio))


class Template:
    """A template and each of its workers; every process takes a second per step."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.jobs: list[TimeSteps] = []

    def worker(self, folder: Folder, cpus: Sequence[int]) -> Template:
        return self

    def begin(self, job: TimeSteps) -> None:
        self.log.append(f"begin {job.side.name}")
        self.jobs.append(job)

    def finish(self, job: TimeSteps) -> None:
        self.log.append(f"finish {job.side.name}")

    def do(self, job: TimeSteps) -> Taken:
        return Taken(job.steps, job.steps)

    def __enter__(self) -> Template:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("stop")


def test_both_processes_of_a_pair_build_at_the_same_time_in_an_order_that_is_drawn() -> None:
    a = Side("A", variant_named("wide"), Place("tensorflow", "cpu", 1))
    b = replace(a, name="B", batch_size=16)
    template = Template()
    bench = Bench([a, b], {(a.place, a.folder.harness): template}, Path("m"), "train", 7)
    pairs = [bench.pair(number) for number in range(8)]
    assert pairs[1] == Pair(1, 1, 32, 16, pairs[1].rounds)
    assert {tuple(template.log[at : at + 6]) for at in range(0, len(template.log), 6)} == {
        (f"begin {x}", f"begin {y}", f"finish {x}", f"finish {y}", "stop", "stop")
        for x, y in ("AB", "BA")
    }
    jobs = {job.side.name: job for job in template.jobs[2:4]}
    row = Row("wide", "train", "float32", 16, 7, 1)
    assert jobs["B"] == TimeSteps(b, row, Path("m"), cpus_for(1, 1))
    assert jobs["A"] == replace(jobs["B"], side=a, row=replace(row, batch_size=32))


# Many pairs


@dataclass
class Session:
    """Measures pairs that take two seconds each, quiet or noisy ones."""

    noise: float = 0.0
    now: float = 0.0
    kept: list[Pair] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def measure(self, number: int) -> Pair:
        assert len(self.kept) == number  # each is kept before the next one
        self.now += 2.0
        slower = math.exp(self.noise * (-1) ** number + 0.001 * (number % 3))
        return pair_of((0.04,) * 3, (0.04 * slower,) * 3, number)

    def run(self, budget: float | None = None) -> tuple[str, int, tuple[int, ...]]:
        pairs, result = measure_until_decided(
            self.measure,
            RatioRule(0.03, looks=(3, 5, 6), narrow=True),
            budget=budget,
            clock="wall",
            keep=self.kept.append,
            say=self.said.append,
            now=lambda: self.now,
        )
        assert pairs == self.kept
        return result.verdict, len(pairs), result.looks


@pytest.mark.parametrize(
    ("noise", "outcome"), [(0.0, ("pass", 3, (3,))), (0.5, ("inconclusive", 6, (3, 5, 6)))]
)
def test_pairs_are_measured_until_a_look_decides(noise: float, outcome: object) -> None:
    assert Session(noise).run() == outcome


@pytest.mark.parametrize(("budget", "count"), [(0.1, 2), (5.9, 2), (8.0, 4), (9.9, 4), (99.0, 6)])
def test_no_pair_is_started_that_would_end_too_late(budget: float, count: int) -> None:
    assert Session(noise=0.5).run(budget)[:2] == ("inconclusive", count)


def test_the_plan_comes_after_the_first_pair_and_a_line_per_look() -> None:
    session = Session(noise=0.5)
    session.run(budget=60)
    assert session.said[0] == "first pair: 2.0 s; about 6 s for 3 pairs, 12 s for 6, at most 60 s"
    assert [line.split(": B ")[0] for line in session.said[1:]] == [
        "look after 3 pairs, 6 s",
        "look after 5 pairs, 10 s",
        "look after 6 pairs, 12 s",
    ]
    assert session.said[-1].endswith("inconclusive")


def test_clocks_are_named_and_compared() -> None:
    pairs = [Pair(0, 1, 32, 32, (Round("A", Taken(1.0, 0.25), Taken(2.0, 0.75)),))]
    assert pairs[0].log_ratio("cpu") == pytest.approx(math.log(3))
    busy = "The processes used 0.33 CPUs while they worked."
    wall = f"Decided by wall-clock time; CPU time says +200.0%. {busy}"
    assert clocks_in_words(pairs, "wall") == wall
    cpu = f"Decided by CPU time; wall-clock time says +100.0%. {busy}"
    assert clocks_in_words(pairs, "cpu") == cpu


# What is left behind


def test_rows_say_who_was_first(tmp_path: Path) -> None:
    for number in (0, 1):
        append_pair(tmp_path, pair_of((1.0, 1.0), (2.0, 2.0), number))
    header, *lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert header == ",".join(COLUMNS)
    rounds = (
        "0,A,0,2,32,1.0,0.25",
        "0,B,1,2,32,2.0,0.5",
        "1,A,1,2,32,1.0,0.25",
        "1,B,0,2,32,2.0,0.5",
    )
    rounds = [
        "0,A,0,2,32,1.0,0.25",
        "0,B,1,2,32,2.0,0.5",
        "1,A,1,2,32,1.0,0.25",
        "1,B,0,2,32,2.0,0.5",
    ]
    assert lines == [f"{pair},{each}" for pair in "01" for each in rounds]


def test_a_report_is_read_back_in_words(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    content = {"sides": [{"name": "A", "text": "wide"}, {"name": "B", "text": "wide at x"}]}
    write_result(tmp_path, {**content, "text": None})
    with pytest.raises(ValueError, match="Out of range float"):
        write_result(tmp_path, {"result": math.nan})  # no JSON, and the file is as it was
    assert read_result(tmp_path) == (
        "A: wide\nB: wide at x\nStopped before a verdict; see pairs.csv."
    )
    write_result(tmp_path, {**content, "text": "PASS: fast."})
    assert read_result(tmp_path) == "A: wide\nB: wide at x\nPASS: fast."
