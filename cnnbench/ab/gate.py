"""Pairs until the verdict is reached, or the pairs or the time are spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from cnnbench.ab.pairs import Pair
from cnnbench.ab.verdict import Result, Rule, judge
from cnnbench.stats.intervals import mean_of
from cnnbench.timing import Clock


def measure_until_decided(
    measure: Callable[[int], Pair],
    rule: Rule,
    *,
    budget: float | None = None,
    log_ratio: Callable[[Pair], float] = lambda pair: pair.log_ratio,
    keep: Callable[[Pair], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    clock: Clock = time.monotonic,
) -> tuple[list[Pair], Result]:
    """Measures pairs and looks for a verdict where the rule says so.

    Args:
        measure: measures the pair of a number.
        rule: looks and error rates.
        budget: seconds; no pair is begun that would not end within. The first one always is.
        log_ratio: what of a pair is judged.
        keep: called with each pair before the next one.
        say: told how long it may take after the first pair, and a line a look.
        clock: returns seconds.

    Returns:
        The pairs and the last result, which is never `undecided`.
    """
    start = clock()
    pairs: list[Pair] = []
    while True:
        pair = measure(len(pairs))
        keep(pair)
        pairs.append(pair)
        spent = clock() - start
        each = spent / len(pairs)
        if len(pairs) == 1:
            say(f"first pair: {each:.1f} s; {_plan(rule, each, budget)}")
        last = budget is not None and spent + each > budget
        result = judge([log_ratio(each) for each in pairs], rule, last=last)
        if len(pairs) in rule.looks:
            say(
                f"look after {len(pairs)} pairs, {spent:.0f} s: HEAD {result.change:+.1%} "
                f"({result.low:+.1%} to {result.high:+.1%}), {result.verdict}"
            )
        if result.verdict != "undecided":
            return pairs, result


def _plan(rule: Rule, each: float, budget: float | None) -> str:
    least, most = rule.looks[0], rule.looks[-1]
    text = f"about {least * each:.0f} s for {least} pairs, {most * each:.0f} s for {most}"
    return f"{text}, at most {budget:g} s" if budget is not None else text


def by_clock(pair: Pair, clock: str) -> float:
    """Returns a pair's log ratio by one clock, `wall` or `cpu`."""
    return pair.log_ratio_cpu if clock == "cpu" else pair.log_ratio


def clocks_in_words(pairs: Sequence[Pair], clock: str) -> str:
    """Returns which clock decided, what the other one says, and how busy the machine was."""
    names = {"wall": "clock on the wall", "cpu": "CPU seconds"}
    other = "wall" if clock == "cpu" else "cpu"
    values = [by_clock(pair, other) for pair in pairs]
    estimate = mean_of(values)
    interval = estimate.interval()
    around = ""
    if len(values) > 1:
        low, high = math.expm1(interval.low), math.expm1(interval.high)
        around = f" ({low:+.1%} to {high:+.1%})"
    wall = sum(sum(pair.seconds_a + pair.seconds_b) for pair in pairs)
    cpu = sum(sum(pair.cpu_a + pair.cpu_b) for pair in pairs)
    return (
        f"Decided by {names[clock]}; by {names[other]}, a witness without a vote, "
        f"{math.expm1(estimate.value):+.1%}{around}. The processes used {cpu / wall:.2f} CPUs "
        f"while they worked."
    )
