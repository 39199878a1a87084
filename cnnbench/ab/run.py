"""One run of `cnnbench ab`: pairs until there is a verdict, and the report folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from cnnbench.ab import report_files as files
from cnnbench.ab.bench import Bench
from cnnbench.ab.settings import Settings
from cnnbench.ab.sides import Side
from cnnbench.ab.until_decided import clocks_in_words, measure_until_decided
from cnnbench.ab.verdict import Verdict, in_words
from cnnbench.machine.environment import describe
from cnnbench.pictures.load import Splits
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule


def compare_sides(
    base: Side,
    head: Side,
    settings: Settings,
    splits: Splits,
    *,
    report_dir: Path,
    say: Callable[[str], None],
) -> Verdict:
    """Compares two sides and leaves a report folder.

    Args:
        base, head: placed (`sides.placed`).
        settings: the numbers.
        splits: the pictures; only their shape and number of classes matter.
        report_dir: where the report's folder goes.
        say: prints a line for people.
    """
    environment = describe(Path.cwd())
    content = {
        "cnnbench_ab": 1,
        "environment": environment,
        "sides": [base.to_dict(), head.to_dict()],
        "settings": asdict(settings),
        "pictures": {
            "content_hash": splits.content_hash,
            "input_shape": list(splits.input_shape),
            "classes": len(splits.classes),
        },
    }
    folder = files.new_folder(report_dir, environment["commit"])
    files.write_result(folder, {**content, "result": None})
    for side in (base, head):
        say(f"{side.name}: {side.in_words()}")
    count = f"{settings.pairs} to {settings.max_pairs} pairs of fresh processes"
    say(f"{settings.workload} on {settings.device}: {count}")
    rule = RatioRule(
        margin=settings.min_effect,
        alpha=settings.alpha,
        beta=settings.beta,
        looks=look_plan(settings.pairs, settings.max_pairs),
        narrow=True,
    )
    with (
        closing(files.PairsFile(folder)) as table,
        Bench(
            base,
            head,
            splits=splits,
            workload=settings.workload,
            device=settings.device,
            seed=settings.seed,
        ) as bench,
    ):
        pairs, result = measure_until_decided(
            bench.pair,
            rule,
            budget=settings.budget,
            clock=settings.clock,
            keep=table.append,
            say=say,
        )
    text = f"{in_words(result, rule)} {clocks_in_words(pairs, settings.clock)}"
    files.write_result(folder, {**content, "result": result.to_dict(), "text": text})
    say(text)
    say(f"report: {folder}")
    return result.verdict
