"""The jury with made-up rules, whose p values depend on nothing but the number of seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from factories import training_run

from cnnbench.stats.intervals import Interval
from cnnbench.stats.sequential import nominal_levels
from cnnbench.verdicts.gates.evidence import Evidence, Levels
from cnnbench.verdicts.gates.jury import Gate, Jury

UNDECIDED = (0.5, 0.5)
BAD = (1e-7, 1.0)
GOOD = (1.0, 1e-7)
ONCE = Levels(most=3)
LEVELS = nominal_levels(0.01, (3, 5, 8))


@dataclass(frozen=True)
class Said:
    """Says the p values (fail, pass) of each look in turn, by the number of runs of each look."""

    said: tuple[tuple[float, float], ...]
    looks: tuple[int, ...] = (3, 5, 8)
    check: str = "said"
    settled: str | None = None
    at_end: str = "inconclusive"
    error: str = ""

    def evidence(self, runs, labels, levels) -> Evidence:
        if self.error:
            raise ValueError(self.error)
        look = self.looks.index(len(runs))
        p_fail, p_pass = self.said[min(look, len(self.said) - 1)]
        return Evidence(
            observed=float(len(runs)),
            threshold=0.5,
            interval=Interval(0.25, 0.75),
            p_fail=p_fail,
            p_pass=p_pass,
            detail=f"seen {len(runs)} runs, seeds {[run.seed for run in runs]}",
            advice="a better recipe would decide it",
            settled=self.settled,
            at_end=self.at_end,
        )


class Trainer:
    """Trains nothing, and remembers what was asked of it."""

    def __init__(self, *broken: tuple[str, int]) -> None:
        self.asked: list[list[tuple[str, int]]] = []
        self.broken = broken

    def __call__(self, wanted):
        self.asked.append(list(wanted))
        return [
            RuntimeError(f"{variant} crashed under seed {seed}")
            if (variant, seed) in self.broken
            else training_run(variant=variant, seed=seed, device="gpu", batch_size=16)
            for variant, seed in wanted
        ]


@pytest.fixture
def trainer():
    return Trainer()


def gate(*said, variant="wide", seeds=(0, 1, 2), **changes) -> Gate:
    return Gate(Said(said, **changes), variant, seeds)


def single(p_fail: float, p_pass: float = 1.0, variant: str = "wide") -> Gate:
    """A gate that is looked at once: as many seeds as there may be."""
    return gate((p_fail, p_pass), variant=variant, looks=(3,))


def judge(*gates, levels=None, trainer=None, **changes):
    """Returns the results of gates that are judged together."""
    jury = Jury(gates, levels or Levels(), (0, 1), trainer or Trainer(), **changes)
    return [jury.verdict(one) for one in gates]


def verdicts(*gates, **changes) -> list[str]:
    return [one.verdict for one in judge(*gates, **changes)]


# One gate


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ((0.01, 1.0), "fail"),
        ((0.0101, 1.0), "inconclusive"),
        ((1.0, 0.05), "pass"),
        ((1.0, 0.0501), "inconclusive"),
        ((0.01, 0.05), "fail"),
    ],
)
def test_one_look_is_compared_with_alpha_and_beta(said, verdict):
    assert verdicts(single(*said), levels=ONCE) == [verdict]


@pytest.mark.parametrize(("said", "verdict"), [(BAD, "fail"), (GOOD, "pass")])
@pytest.mark.parametrize("looks", [0, 2])
def test_seeds_are_added_until_it_is_clear(said, verdict, looks, trainer):
    (result,) = judge(gate(*[UNDECIDED] * looks, said), trainer=trainer)
    sizes = [3, 5, 8][: looks + 1]
    assert (result.verdict, result.values) == (verdict, sizes[-1])
    assert trainer.asked == [[("wide", seed) for seed in range(size)] for size in sizes]
    assert "Undecided" not in result.detail


def test_added_seeds_come_after_the_largest():
    (result,) = judge(gate(UNDECIDED, seeds=(7, 3, 1)))
    assert result.detail == (
        "seen 8 runs, seeds [7, 3, 1, 8, 9, 10, 11, 12]. Undecided after 8 seeds, the most allowed:"
        " a better recipe would decide it"
    )
    assert (result.verdict, result.values) == ("inconclusive", 8)


@pytest.mark.parametrize(("verdict", "rate"), [("fail", 0.01), ("pass", 0.05)])
@pytest.mark.parametrize("look", [0, 2])
def test_each_look_has_its_share_of_the_error(verdict, rate, look):
    # A p value that would be enough for a single look is not for one of three.
    level = nominal_levels(rate, (3, 5, 8))[look]
    assert level < rate / 1.5
    for p_value, expected in ((level * 0.98, verdict), (level * 1.05, "inconclusive")):
        clear = (p_value, 1.0) if verdict == "fail" else (1.0, p_value)
        said = [UNDECIDED] * look + [clear, UNDECIDED]
        assert verdicts(gate(*said[:3])) == [expected]


def test_the_end_is_the_rules_when_no_seed_is_left():
    found = verdicts(gate(UNDECIDED, at_end="pass"), gate(UNDECIDED, variant="thin"))
    assert found == ["pass", "inconclusive"]


def test_what_is_settled_needs_no_p_value(trainer):
    assert verdicts(gate(GOOD, settled="fail"), trainer=trainer) == ["fail"]
    assert len(trainer.asked) == 1


def test_a_rule_is_told_the_levels_of_its_last_look():
    told = []

    class Told(Said):
        def evidence(self, runs, labels, levels):
            told.append(levels)
            return super().evidence(runs, labels, levels)

    judge(Gate(Told((GOOD,)), "wide", (0, 1, 2)), gate(GOOD, variant="thin"))
    alpha, beta = (nominal_levels(rate, (3, 5, 8))[-1] for rate in (0.01 / 2, 0.05))
    assert told == [Levels(alpha, beta, most=8)]


def test_a_result_carries_the_numbers_behind_it():
    result, _ = judge(single(0.004), single(0.5, variant="thin"), levels=ONCE)
    assert (result.check, result.variant, result.seed) == ("said", "wide", None)
    place = (result.backend, result.device, result.dtype, result.batch_size)
    assert place == ("tensorflow", "gpu", "float32", 16)
    assert (result.observed, result.threshold) == (3.0, 0.5)
    assert (result.low, result.high) == (0.25, 0.75)
    assert (result.p_value, result.alpha, result.values) == (0.008, 0.01, 3)


# Many gates, one error rate


@pytest.mark.parametrize(
    ("p_values", "verdict"),
    [
        # Ordered p values times 4, 3, 2, 1: 0.012 rejects nothing.
        ((0.003, 0.0045, 0.009, 0.5), "inconclusive"),
        # 2 * 0.004 <= 0.01 and then 1 * 0.009 <= 0.01, which Bonferroni's 0.018 is not.
        ((0.004, 0.009), "fail"),
    ],
)
def test_holm_by_hand(p_values, verdict):
    gates = [single(p, variant=f"v{p}") for p in p_values]
    assert verdicts(*gates, gates[0], levels=ONCE) == [verdict] * (len(gates) + 1)  # once is enough


def test_a_gate_that_fails_later_takes_an_earlier_one_along():
    # Alone it would fail at the first look; beside another one it waits for that one.
    waiting = gate((LEVELS[0] * 0.98, 1.0), UNDECIDED)
    assert verdicts(waiting) == ["fail"]
    assert verdicts(waiting, gate(UNDECIDED, variant="thin")) == ["inconclusive", "inconclusive"]
    found = judge(waiting, gate(UNDECIDED, BAD, variant="thin"))
    assert [(one.verdict, one.values) for one in found] == [("fail", 5)] * 2


def test_what_has_passed_is_not_judged_again():
    # Too little to fail beside another gate, and no more looked at when that one has failed.
    both = gate((LEVELS[0] * 0.98, 1e-7))
    assert verdicts(both) == ["fail"]
    assert verdicts(both, gate(UNDECIDED, BAD, variant="thin")) == ["pass", "fail"]


def test_seeds_are_added_only_for_open_gates(trainer):
    gates = [gate(GOOD), gate(UNDECIDED, BAD, variant="thin"), gate(BAD, variant="deep")]
    assert verdicts(*gates, trainer=trainer) == ["pass", "fail", "fail"]
    assert [len(wanted) for wanted in trainer.asked] == [9, 5]
    assert set(trainer.asked[1]) - set(trainer.asked[0]) == {("thin", 3), ("thin", 4)}


def test_gates_of_one_variant_share_its_runs_and_say_what_is_added(trainer):
    asked, told = [], []
    gates = [gate(UNDECIDED, GOOD, check=name) for name in ("one", "two")]
    answers = {"may_add": lambda count: not asked.append(count), "note": told.append}
    assert verdicts(*gates, trainer=trainer, **answers) == ["pass"] * 2
    assert [len(wanted) for wanted in trainer.asked] == [3, 5]
    assert asked == [2]
    verdicts(gate(UNDECIDED, GOOD, looks=(3, 4)), levels=Levels(most=4), note=told.append)
    assert told == [
        "undecided: one of wide, two of wide; 2 more trainings",
        "undecided: said of wide; 1 more training",
    ]


def test_a_spent_budget_adds_no_seed_and_says_so(trainer):
    gates = [
        gate(UNDECIDED, at_end="pass"),
        gate(GOOD, variant="thin"),
        gate(UNDECIDED, seeds=tuple(range(9)), looks=(9,)),
    ]
    asked = []
    answers = {"may_add": lambda count: bool(asked.append(count))}
    spent, passed, used = judge(*gates, trainer=trainer, **answers)
    assert (spent.verdict, passed.verdict) == ("inconclusive", "pass")
    assert "Undecided because the budget is spent: a better recipe" in spent.detail
    assert "after 9 seeds, the most allowed" in used.detail
    assert len(trainer.asked) == len(asked) == 1  # the first seeds are not asked for


# Errors


@pytest.mark.parametrize("seed", [1, 4])
def test_a_failed_training_is_an_error_of_its_undecided_gates_only(seed):
    gates = [
        gate(UNDECIDED, check="one"),
        gate(UNDECIDED, check="two"),
        gate(GOOD, check="three"),
        gate(UNDECIDED, BAD, variant="thin"),
    ]
    jury = Jury(gates, Levels(), (0, 1), Trainer(("wide", seed)))
    for one in gates[: 3 if seed == 1 else 2]:
        with pytest.raises(RuntimeError, match=f"wide crashed under seed {seed}"):
            jury.verdict(one)
    assert jury.verdict(gates[3]).verdict == "fail"
    if seed == 4:
        assert jury.verdict(gates[2]).verdict == "pass"


def test_a_rule_that_cant_judge_is_an_error_of_its_gate_only_which_has_a_record(trainer):
    gates = [gate(GOOD, error="the baseline is of something else"), gate(GOOD, variant="thin")]
    jury = Jury(gates, Levels(), (0, 1), trainer)
    with pytest.raises(ValueError, match="the baseline is of something else") as caught:
        jury.verdict(gates[0])
    assert jury.verdict(gates[1]).verdict == "pass"
    result = jury.error(gates[0], caught.value)
    assert (result.check, result.variant, result.verdict) == ("said", "wide", "error")
    assert result.detail == "the baseline is of something else"
    assert math.isnan(result.observed)
