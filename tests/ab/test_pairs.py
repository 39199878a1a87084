"""Pairs over fake sides and a fake clock: no process, no waiting."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from cnnbench.ab.pairs import ROUND_SECONDS, ROUNDS, Pair, Round, Taken, measure_pair
from cnnbench.ab.report_files import COLUMNS, PairsFile, read_result, write_result
from cnnbench.ab.until_decided import clocks_in_words, measure_until_decided
from cnnbench.verdicts.gates.ratio import RatioRule


class Machine:
    """Sides whose steps take fake seconds, and who worked when."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.waiting = 1.0
        self.work: list[tuple[str, int]] = []

    def parties(self):
        return {party: self._timer(party) for party in self.seconds}

    def _timer(self, party):
        def time(steps):
            self.work.append((party, steps))
            wall = steps * self.seconds[party]
            return Taken(wall, wall / self.waiting)

        return time


def measured(machine: Machine, **arguments) -> Pair:
    values = {"batch_a": 32, "batch_b": 32, **arguments}
    seed = values.pop("seed", 0)
    return measure_pair(0, machine.parties(), np.random.default_rng(seed), **values)


def pair_of(a, b, number: int = 0) -> Pair:
    """A pair whose rounds took these seconds; A and B are first in turn."""
    rounds = tuple(
        Round("AB"[number % 2], Taken(x, x), Taken(y, y))
        for number, (x, y) in enumerate(zip(a, b, strict=True))
    )
    return Pair(number, 2, 32, 32, rounds)


# One pair


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [(0.01, 0.01, 4), (0.001, 0.01, 4), (0.01, 0.001, 4), (0.03, 0.03, 1), (0.016, 0.01, 2)],
)
def test_a_round_of_the_slower_side_is_long_enough(a, b, steps):
    pair = measured(Machine(A=a, B=b))
    assert pair.steps == steps
    assert all(max(each.a.wall, each.b.wall) >= ROUND_SECONDS for each in pair.rounds)


def test_rounds_keep_their_seconds():
    pair = measured(Machine(A=0.01, B=0.02))
    assert [(each.a.wall, each.b.wall) for each in pair.rounds] == [(0.02, 0.04)] * ROUNDS
    assert pair.log_ratio() == pytest.approx(math.log(2))


def test_both_sides_work_once_a_round_in_an_order_that_is_drawn():
    machine = Machine(A=0.03, B=0.03)
    pair = measured(machine)
    timed = [party for party, _ in machine.work[-2 * ROUNDS :]]
    rounds = [timed[at : at + 2] for at in range(0, len(timed), 2)]
    assert all(sorted(each) == ["A", "B"] for each in rounds)
    assert [each[0] for each in rounds] == [each.first for each in pair.rounds]
    assert {each.first for each in pair.rounds} == {"A", "B"}


def test_orders_depend_on_the_seed_alone():
    one, again, other = (measured(Machine(A=0.03, B=0.03), seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_warm_up_is_thrown_away():
    machine = Machine(A=0.03, B=0.03)
    measured(machine)
    assert len(machine.work) == 2 + 2 * (2 + ROUNDS)  # finding the length, warm-up, rounds


def test_seconds_are_those_of_a_picture():
    pair = measured(Machine(A=0.03, B=0.06), batch_a=32, batch_b=64)
    assert pair.log_ratio() == pytest.approx(0)


def test_one_slow_round_does_not_move_the_ratio():
    assert pair_of((1.0, 1.0, 9.0), (1.0, 1.0, 1.0)).log_ratio() == 0


def test_a_slow_spell_that_ends_between_the_sides_of_a_round_does_not_move_the_ratio():
    pair = pair_of((1.0, 1.0, 2.0, 2.0, 1.0), (1.1, 3.0, 2.2, 2.2, 1.1))
    assert pair.log_ratio() == pytest.approx(math.log(1.1))  # the medians' is that of 2.2


def test_cpu_seconds_leave_out_waiting():
    machine = Machine(A=0.03, B=0.06)
    machine.waiting = 4.0
    pair = measured(machine)
    assert {each.a.cpu for each in pair.rounds} == {0.03 / 4}
    assert pair.log_ratio("cpu") == pytest.approx(pair.log_ratio())
    assert "used 0.25 CPUs" in clocks_in_words([pair], "wall")


# Many pairs

RULE = RatioRule(0.03, looks=(3, 5, 6), narrow=True)


class Clock:
    def __init__(self, each: float) -> None:
        self.now, self.each = 0.0, each

    def pair(self, number: int, log_ratio: float = 0.0) -> Pair:
        self.now += self.each
        slower = math.exp(log_ratio + 0.001 * (number % 3))
        return pair_of((0.04,) * 3, (0.04 * slower,) * 3, number)

    def __call__(self) -> float:
        return self.now


def test_pairs_are_measured_until_a_look_decides():
    clock, kept = Clock(2.0), []
    pairs, result = measure_until_decided(clock.pair, RULE, keep=kept.append, now=clock)
    assert (result.verdict, len(pairs)) == ("pass", 3)
    assert kept == pairs
    assert [pair.number for pair in pairs] == [0, 1, 2]


def test_noise_is_measured_to_the_end():
    clock = Clock(2.0)
    pairs, result = measure_until_decided(
        lambda number: clock.pair(number, 0.5 * (-1) ** number), RULE, now=clock
    )
    assert (result.verdict, len(pairs), result.looks) == ("inconclusive", 6, (3, 5, 6))


@pytest.mark.parametrize(("budget", "count"), [(0.1, 1), (5.9, 2), (8.0, 4), (9.9, 4), (99.0, 6)])
def test_no_pair_is_begun_that_would_end_too_late(budget, count):
    clock = Clock(2.0)
    pairs, result = measure_until_decided(
        lambda number: clock.pair(number, 0.5 * (-1) ** number), RULE, budget=budget, now=clock
    )
    assert (len(pairs), result.verdict) == (count, "inconclusive")


def test_the_plan_comes_after_the_first_pair_and_a_line_a_look():
    clock, said = Clock(2.0), []
    measure_until_decided(
        lambda number: clock.pair(number, 0.5 * (-1) ** number),
        RULE,
        budget=60,
        say=said.append,
        now=clock,
    )
    assert said[0] == "first pair: 2.0 s; about 6 s for 3 pairs, 12 s for 6, at most 60 s"
    assert [line.split(":")[0] for line in said[1:]] == [
        "look after 3 pairs, 6 s",
        "look after 5 pairs, 10 s",
        "look after 6 pairs, 12 s",
    ]


# What is left behind


def rows_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "pairs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_pair_is_in_the_file_at_once(tmp_path):
    table = PairsFile(tmp_path)
    assert rows_in(tmp_path) == []
    for number in range(2):
        table.append(pair_of((1.0,) * 3, (2.0,) * 3, number))
        assert len(rows_in(tmp_path)) == 6 * (number + 1)
    table.close()


def test_rows_say_who_was_first(tmp_path):
    table = PairsFile(tmp_path)
    table.append(pair_of((1.0,) * 3, (2.0,) * 3, number=7))
    table.close()
    rows = rows_in(tmp_path)
    assert tuple(rows[0]) == COLUMNS
    assert {row["pair"] for row in rows} == {"7"}
    orders = [(row["round"], row["side"], row["order"], row["seconds"]) for row in rows]
    assert orders[:4] == [
        ("0", "A", "0", "1.0"),
        ("0", "B", "1", "2.0"),
        ("1", "A", "1", "1.0"),
        ("1", "B", "0", "2.0"),
    ]


def test_a_result_is_json_without_nan(tmp_path):
    write_result(tmp_path, {"result": None})
    with pytest.raises(ValueError, match="Out of range float"):
        write_result(tmp_path, {"result": math.nan})
    assert (tmp_path / "ab.json").read_text() == '{\n  "result": null\n}\n'


def test_a_report_is_read_back_in_words(tmp_path):
    assert read_result(tmp_path) is None
    content = {"sides": [{"name": "A", "text": "wide"}, {"name": "B", "text": "wide at x"}]}
    write_result(tmp_path, {**content, "text": None})
    assert read_result(tmp_path) == (
        "A: wide\nB: wide at x\nStopped before a verdict; see pairs.csv."
    )
    write_result(tmp_path, {**content, "text": "PASS: fast."})
    assert read_result(tmp_path) == "A: wide\nB: wide at x\nPASS: fast."
