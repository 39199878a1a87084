"""One run of `cnnbench ab`: pairs until there is a verdict, and the report folder.

The folder holds `pairs.csv`, a row per round and side, and `ab.json`.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cnnbench.ab.pairs import COLUMNS, Pair, open_bench
from cnnbench.ab.sides import ClockName, Settings, Side
from cnnbench.machine.environment import describe
from cnnbench.pictures.data_set import Splits
from cnnbench.report.folder import new_report_folder
from cnnbench.speed.timing import Clock
from cnnbench.stats.intervals import mean_of, spread_of
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule, judge_ratios, ratio_values_needed

PAIRS_NAME = "pairs.csv"
RESULT_NAME = "ab.json"

Verdict = Literal["pass", "fail", "inconclusive", "undecided"]


def compare_sides(
    sides: Sequence[Side],
    settings: Settings,
    splits: Splits,
    *,
    report_dir: Path,
    say: Callable[[str], None],
) -> Verdict:
    """Compares A and B, which are placed, and leaves a report folder in `report_dir`.

    Of the pictures, only the shape and the number of classes matter.
    """
    environment = describe(Path.cwd())
    heading = "\n".join(f"{side.name}: {side}" for side in sides)
    if sides[0].equals(sides[1]):
        heading += "\nA and B are equal: any difference is noise."
    content = {
        "cnnbench_ab": 3,
        "environment": environment,
        "sides": [side.to_dict() for side in sides],
        "settings": asdict(settings),
        "pictures": {
            "content_hash": splits.content_hash,
            "input_shape": list(splits.input_shape),
            "classes": len(splits.classes),
        },
        "result": None,
        "text": f"{heading}\nStopped before a verdict; see {PAIRS_NAME}.",
    }
    commit = environment["commit"]
    folder = new_report_folder(report_dir, commit, prefix="ab-", option="--report-dir")
    write_result(folder, content)
    count = f"{settings.pairs} to {settings.max_pairs} pairs of fresh processes"
    say(f"{heading}\n{settings.workload} on {settings.device}: {count}")
    rule = RatioRule(
        margin=settings.min_effect,
        alpha=settings.alpha,
        beta=settings.beta,
        looks=look_plan(settings.pairs, settings.max_pairs),
        narrow=True,
    )
    with open_bench(sides, splits, workload=settings.workload, seed=settings.seed) as bench:
        pairs, result = measure_until_decided(
            bench.pair,
            rule,
            budget=settings.budget,
            clock=settings.clock,
            keep=partial(append_pair, folder),
            say=say,
        )
    text = f"{in_words(result, rule)} {clocks_in_words(pairs, settings.clock)}"
    content |= {"result": asdict(result), "text": f"{heading}\n{text}"}
    write_result(folder, content)
    say(f"{text}\nreport: {folder}")
    return result.verdict


def measure_until_decided(
    measure: Callable[[int], Pair],
    rule: RatioRule,
    *,
    budget: float | None,
    clock: ClockName,
    keep: Callable[[Pair], None],
    say: Callable[[str], None],
    now: Clock = time.monotonic,
) -> tuple[list[Pair], Result]:
    """Measures pairs, by number, and seeks a verdict where the rule says so.

    With a `budget` in seconds no pair but the first two, without which nothing is known, is started
    that would end later. Each is kept before the next one. The last result is never `undecided`.
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
            continue
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


@dataclass(frozen=True)
class Result:
    """A verdict, `undecided` if more pairs are to come, and everything that it rests on.

    `change` (`low` to `high`) is the mean change of time per picture as a share of A's: above 0 B
    is slower. The p values, of "B is not slower" and "B is slower by the margin or more", hold over
    all looks. `sd` is that of the pairs' log ratios; `more_pairs` would be needed to decide.
    """

    verdict: Verdict
    pairs: int
    looks: tuple[int, ...]
    change: float
    low: float
    high: float
    p_slower: float
    p_margin: float
    sd: float
    more_pairs: int | None


def judge(log_ratios: Sequence[float], rule: RatioRule, *, last: bool = False) -> Result:
    """Seeks a verdict after two pairs or more, by `judge_ratios`.

    With `last` no more pairs will come (a budget); looks that were not reached are not taken.
    """
    pairs = len(log_ratios)
    looks = tuple(look for look in rule.looks if look <= pairs)
    (found,) = judge_ratios([[mean_of(log_ratios[:look]) for look in looks]], rule)
    verdict: Verdict = found.verdict if pairs in looks else "inconclusive"
    if verdict == "inconclusive" and not last and pairs < rule.looks[-1]:
        verdict = "undecided"
    mean, spread = mean_of(log_ratios), spread_of(log_ratios)
    interval = mean.interval()
    needed = ratio_values_needed(mean.value, spread.sd, rule)
    return Result(
        verdict=verdict,
        pairs=pairs,
        looks=looks,
        change=math.expm1(mean.value),
        low=math.expm1(interval.low),
        high=math.expm1(interval.high),
        p_slower=found.p_slower,
        p_margin=found.p_margin,
        sd=spread.sd,
        more_pairs=None if needed is None else max(1, needed - pairs),
    )


def in_words(result: Result, rule: RatioRule) -> str:
    """Returns a result that is not `undecided` in one paragraph."""
    headline = {
        "pass": f"PASS: B is not slower by {rule.margin:.1%} or more.",
        "fail": f"FAIL: B is slower, by an estimated {rule.margin:.1%} or more.",
        "inconclusive": "INCONCLUSIVE: the pairs neither show a slowdown nor rule one out.",
    }[result.verdict]
    text = (
        f"{headline} B's time per picture is {result.change:+.1%} relative to A's (95 % interval "
        f"{result.low:+.1%} to {result.high:+.1%}), from {result.pairs} pairs of fresh processes "
        f"with a spread of {result.sd:.1%}. "
        f"Looks after {', '.join(map(str, result.looks)) or 'none'}. "
        f"p = {result.p_slower:.2g} that B is not slower (fails at {rule.alpha:g}), "
        f"p = {result.p_margin:.2g} that B is slower by {rule.margin:.1%} or more (passes at "
        f"{rule.beta:g}); both hold over all looks together."
    )
    if result.verdict != "inconclusive":
        return text
    if result.more_pairs is None:
        return f"{text} Not even 1000 pairs would decide."
    return f"{text} About {result.more_pairs} more pairs would be needed to decide."


def append_pair(folder: Path, pair: Pair) -> None:
    """Adds the rows of a pair; they are on disk when it returns."""
    with (folder / PAIRS_NAME).open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        if not file.tell():
            rows.writerow(COLUMNS)
        rows.writerows(pair.rows())
        file.flush()
        os.fsync(file.fileno())


def write_result(folder: Path, content: dict[str, Any]) -> None:
    """Writes `ab.json`, whole or not at all."""
    new = folder / f"{RESULT_NAME}.new"
    new.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    new.replace(folder / RESULT_NAME)


def read_result(folder: Path) -> str | None:
    """Returns the sides and the result in words; `None` if the folder is no report of `ab`."""
    path = folder / RESULT_NAME
    return json.loads(path.read_text(encoding="utf-8"))["text"] if path.is_file() else None
