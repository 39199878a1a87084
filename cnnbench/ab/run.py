"""One run of `cnnbench ab`: pairs until there is a verdict, and the report folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from cnnbench.ab.bench import Bench
from cnnbench.ab.report_files import append_pair, write_result
from cnnbench.ab.settings import Settings
from cnnbench.ab.sides import Side
from cnnbench.ab.until_decided import clocks_in_words, measure_until_decided
from cnnbench.ab.verdict import Verdict, in_words
from cnnbench.machine.environment import describe
from cnnbench.pictures.data_set import Splits
from cnnbench.report.folder import new_report_folder
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule


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
    folder = new_report_folder(
        report_dir, environment["commit"], prefix="ab-", option="--report-dir"
    )
    write_result(folder, content)
    for side in sides:
        say(f"{side.name}: {side.in_words()}")
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
    with Bench(sides, splits, workload=settings.workload, seed=settings.seed) as bench:
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
