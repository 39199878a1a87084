"""Pairs until the verdict is reached, or the pairs or the time are spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from cnnbench.ab.pairs import ClockName, Pair
from cnnbench.ab.verdict import Result, judge
from cnnbench.speed.timing import Clock
from cnnbench.stats.intervals import mean_of
from cnnbench.verdicts.gates.ratio import RatioRule


def measure_until_decided(
    measure: Callable[[int], Pair],
    rule: RatioRule,
    *,
    budget: float | None = None,
    clock: ClockName = "wall",
    keep: Callable[[Pair], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    now: Clock = time.monotonic,
) -> tuple[list[Pair], Result]:
    """Measures pairs and seeks a verdict where the rule says so.

    Args:
        measure: measures the pair of a number.
        rule: looks and error rates.
        budget: seconds; no pair is started that would end later, but for the first.
        clock: by which pairs are judged.
        keep: called with each pair before the next one.
        say: prints the plan after the first pair, and a line per look.
        now: returns seconds.

    Returns:
        The pairs and the last result, which is never `undecided`.
    """
    start = now()
    pairs: list[Pair] = []
    while True:
        pairs.append(measure(len(pairs)))
        keep(pairs[-1])
        spent = now() - start
        each = spent / len(pairs)
        if len(pairs) == 1:
            least, most = rule.looks[0], rule.looks[-1]
            plan = f"about {least * each:.0f} s for {least} pairs, {most * each:.0f} s for {most}"
            at_most = "" if budget is None else f", at most {budget:g} s"
            say(f"first pair: {each:.1f} s; {plan}{at_most}")
        last = budget is not None and spent + each > budget
        result = judge([pair.log_ratio(clock) for pair in pairs], rule, last=last)
        if len(pairs) in rule.looks:
            say(
                f"look after {len(pairs)} pairs, {spent:.0f} s: B {result.change:+.1%} "
                f"({result.low:+.1%} to {result.high:+.1%}), {result.verdict}"
            )
        if result.verdict != "undecided":
            return pairs, result


def clocks_in_words(pairs: Sequence[Pair], clock: ClockName) -> str:
    """Returns which clock decided, what the other one says, and how busy the machine was."""
    names = {"wall": "wall-clock time", "cpu": "CPU time"}
    other: ClockName = "wall" if clock == "cpu" else "cpu"
    change = math.expm1(mean_of([pair.log_ratio(other) for pair in pairs]).value)
    taken = [side for pair in pairs for each in pair.rounds for side in (each.a, each.b)]
    cpus = sum(side.cpu for side in taken) / sum(side.wall for side in taken)
    return (
        f"Decided by {names[clock]}; {names[other]} says {change:+.1%}. The processes used "
        f"{cpus:.2f} CPUs while they worked."
    )
