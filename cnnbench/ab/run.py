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
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from cnnbench.ab.bench import open_bench
from cnnbench.ab.pairs import COLUMNS, ClockName, Pair
from cnnbench.ab.sides import Settings, Side
from cnnbench.ab.verdict import Result, Verdict, in_words, judge
from cnnbench.machine.environment import describe
from cnnbench.pictures.data_set import Splits
from cnnbench.report.folder import new_report_folder
from cnnbench.speed.timing import Clock
from cnnbench.stats.intervals import mean_of
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule

PAIRS_NAME = "pairs.csv"
RESULT_NAME = "ab.json"


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
    content = {
        "cnnbench_ab": 2,
        "environment": environment,
        "sides": [side.to_dict() for side in sides],
        "settings": asdict(settings),
        "pictures": {
            "content_hash": splits.content_hash,
            "input_shape": list(splits.input_shape),
            "classes": len(splits.classes),
        },
        "result": None,
        "text": None,
    }
    commit = environment["commit"]
    folder = new_report_folder(report_dir, commit, prefix="ab-", option="--report-dir")
    write_result(folder, content)
    for side in sides:
        say(f"{side.name}: {side}")
    if sides[0].equals(sides[1]):
        say("A and B are equal: any difference is noise.")
    count = f"{settings.pairs} to {settings.max_pairs} pairs of fresh processes"
    say(f"{settings.workload} on {settings.device}: {count}")
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
    write_result(folder, {**content, "result": result.to_dict(), "text": text})
    say(text)
    say(f"report: {folder}")
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

    With a `budget` in seconds no pair but the first is started that would end later. Each pair is
    kept before the next one. The last result is never `undecided`.
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
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    sides = [f"{side['name']}: {side['text']}" for side in content["sides"]]
    return "\n".join([*sides, content["text"] or f"Stopped before a verdict; see {PAIRS_NAME}."])
