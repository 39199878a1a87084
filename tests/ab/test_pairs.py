"""Pairs over fake sides and a fake clock: no process, no waiting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest

from cnnbench.ab import pairs, run
from cnnbench.ab.pairs import ROUNDS, Pair, Round, Timer
from cnnbench.ab.sides import Side
from cnnbench.ab.steps import Taken, TimeSteps, cpus_for
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named
from cnnbench.records.records import Row
from cnnbench.verdicts.gates.ratio import RatioRule


def timers(work: list[str], **seconds: float) -> dict[str, Timer]:
    """Sides whose steps take fake seconds, a quarter on the CPU, and who say that they worked."""

    def time(name: str, steps: int) -> Taken:
        work.append(name)
        return Taken(steps * seconds[name], steps * seconds[name] / 4)

    return {name: partial(time, name) for name in seconds}


def pair_of(a: Sequence[float], b: Sequence[float], number: int = 0, batch_b: int = 32) -> Pair:
    """A pair whose rounds took these seconds, of which a quarter on the CPU; A and B take turns."""
    taken = [[Taken(each, each / 4) for each in side] for side in (a, b)]
    return Pair(number, 2, 32, batch_b, tuple(map(Round, "AB" * 3, *taken)))


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [(0.01, 0.01, 4), (0.001, 0.01, 4), (0.01, 0.001, 4), (0.03, 0.03, 1), (0.016, 0.01, 2)],
)
def test_a_round_of_the_slower_side_is_long_enough(a, b, steps):
    assert pairs.steps_for(timers([], A=a, B=b)) == steps


def test_both_sides_work_once_a_round_in_an_order_that_is_drawn():
    work = []
    sides = timers(work, A=0.03, B=0.06)
    one, again, other = (
        pairs.time_in_alternation(sides, 2, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one == again != other
    assert len(work) == 3 * 2 * (2 + ROUNDS)  # warm-up rounds, whose times are thrown away
    orders = [work[at : at + 2] for at in range(4, 2 * (2 + ROUNDS), 2)]
    assert all(sorted(order) == ["A", "B"] for order in orders)
    assert [order[0] for order in orders] == [each.first for each in one]
    assert {each.first for each in one} == {"A", "B"}
    assert {(each.a.wall, each.b.wall) for each in one} == {(0.06, 0.12)}


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
def test_the_ratio_is_the_median_of_the_rounds_ratios(a, b, batch_b, ratio):
    found = pair_of(a, b, batch_b=batch_b).log_ratio()
    assert found == pytest.approx(math.log(ratio))


def test_both_processes_of_a_pair_build_at_the_same_time_in_an_order_that_is_drawn():
    template = MagicMock()
    worker = template.worker.return_value  # for each of its workers, whose steps take a second
    worker.__enter__.return_value = worker
    worker.do.side_effect = lambda job: Taken(job.steps, job.steps)
    a = Side("A", variant_named("wide"), Place("tensorflow", "cpu", 1))
    b = replace(a, name="B", batch_size=16)
    bench = pairs.Bench([a, b], {(a.place, a.folder.harness): template}, Path("m"), "train", 7)
    measured = [bench.pair(number) for number in range(8)]
    assert measured[1] == Pair(1, 1, 32, 16, measured[1].rounds)
    assert worker.__exit__.call_count == 16
    done = [(name, args[0]) for name, args, _ in worker.method_calls if name != "do"]
    names = [f"{name} {job.side.name}" for name, job in done]
    assert {tuple(names[at : at + 4]) for at in range(0, len(names), 4)} == {
        (f"begin {x}", f"begin {y}", f"finish {x}", f"finish {y}") for x, y in ("AB", "BA")
    }
    row = Row("wide", "train", "float32", 16, 7, 1)
    job_b = TimeSteps(b, row, Path("m"), cpus_for(1, 1))
    job_a = replace(job_b, side=a, row=replace(row, batch_size=32))
    assert {job for _, job in done[4:8]} == {job_a, job_b}


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
        measured, result = run.measure_until_decided(
            self.measure,
            RatioRule(0.03, looks=(3, 5, 6), narrow=True),
            budget=budget,
            clock="wall",
            keep=self.kept.append,
            say=self.said.append,
            now=lambda: self.now,
        )
        assert measured == self.kept
        return result.verdict, len(measured), result.looks


@pytest.mark.parametrize(
    ("noise", "outcome"), [(0.0, ("pass", 3, (3,))), (0.5, ("inconclusive", 6, (3, 5, 6)))]
)
def test_pairs_are_measured_until_a_look_decides(noise, outcome):
    assert Session(noise).run() == outcome


@pytest.mark.parametrize(("budget", "count"), [(0.1, 2), (5.9, 2), (8.0, 4), (9.9, 4), (99.0, 6)])
def test_no_pair_is_started_that_would_end_too_late(budget, count):
    assert Session(noise=0.5).run(budget)[:2] == ("inconclusive", count)


def test_the_plan_comes_after_the_first_pair_and_a_line_per_look():
    session = Session(noise=0.5)
    session.run(budget=60)
    assert session.said[0] == "first pair: 2.0 s; about 6 s for 3 pairs, 12 s for 6, at most 60 s"
    assert [line.split(": B ")[0] for line in session.said[1:]] == [
        "look after 3 pairs, 6 s",
        "look after 5 pairs, 10 s",
        "look after 6 pairs, 12 s",
    ]
    assert session.said[-1].endswith("inconclusive")


def test_clocks_are_named_and_compared():
    measured = [Pair(0, 1, 32, 32, (Round("A", Taken(1.0, 0.25), Taken(2.0, 0.75)),))]
    assert measured[0].log_ratio("cpu") == pytest.approx(math.log(3))
    wall, cpu = (run.clocks_in_words(measured, clock) for clock in ("wall", "cpu"))
    assert wall.startswith("Decided by wall-clock time; CPU time says +200.0%. ")
    assert cpu.startswith("Decided by CPU time; wall-clock time says +100.0%. ")
    assert cpu.endswith(" The processes used 0.33 CPUs while they worked.")


def test_rows_say_who_was_first(tmp_path):
    for number in (0, 1):
        run.append_pair(tmp_path, pair_of((1.0, 1.0), (2.0, 2.0), number))
    header, *lines = (tmp_path / "pairs.csv").read_text().splitlines()
    assert header == ",".join(pairs.COLUMNS)
    rounds = [
        "0,A,0,2,32,1.0,0.25",
        "0,B,1,2,32,2.0,0.5",
        "1,A,1,2,32,1.0,0.25",
        "1,B,0,2,32,2.0,0.5",
    ]
    assert lines == [f"{pair},{each}" for pair in "01" for each in rounds]


def test_a_report_is_written_whole_or_not_at_all(tmp_path):
    assert run.read_result(tmp_path) is None
    run.write_result(tmp_path, {"text": "PASS: fast."})
    with pytest.raises(ValueError, match="Out of range float"):
        run.write_result(tmp_path, {"result": math.nan})  # no JSON
    assert run.read_result(tmp_path) == "PASS: fast."
