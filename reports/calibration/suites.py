"""How often is a whole suite of twenty gates red although nothing is wrong?

    python reports/calibration/suites.py --report REPORT --out reports/calibration/suites.csv

Thresholds come from the first 20 runs of each variant, as `cnnbench calibrate` proposes them; the
suites are drawn from the other runs. Undecided is red.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from rates import Conditions, Rate, write_rates

from cnnbench.verdicts.calibration import Calibrator, Runs, drawn, judged
from cnnbench.verdicts.gates.evidence import Levels, Rule
from cnnbench.verdicts.gates.rules import (
    AccuracyDrop,
    AccuracyTarget,
    GeneralizationGapLimit,
    ValidationLossRiseLimit,
)

LEVELS = Levels(alpha=0.01, beta=0.05, most=8)
GATES = 20
CALIBRATED = 20
RISE = 0.30


def rules_of(runs: Runs, labels: tuple[int, ...]) -> list[Rule]:
    """Returns the four gates of a variant, with thresholds from these runs."""
    shared = Levels(LEVELS.alpha / GATES, LEVELS.beta, LEVELS.most)
    calibrator = Calibrator(runs, labels, shared, 3, 400)
    accuracy, gap = (
        (calibrator.proposed(check).threshold, calibrator.known(check))
        for check in ("accuracy", "generalization_gap")
    )
    return [
        AccuracyTarget(*accuracy),
        AccuracyDrop(calibrator.baseline),
        GeneralizationGapLimit(*gap),
        ValidationLossRiseLimit(RISE),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--suites", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    conditions = Conditions.of(parsed.report)
    labels = conditions.data.validation_labels
    pools = conditions.pools()
    rules = {name: rules_of(runs[:CALIBRATED], labels) for name, runs in pools.items()}
    # Five variants of four gates each: several names may draw from one pool.
    names = {f"{number}": list(pools)[number % len(pools)] for number in range(GATES // 4)}
    rng = np.random.default_rng(parsed.seed)
    reds: Counter[str] = Counter()
    seeds = 0
    for number in range(parsed.suites):
        own = {
            key: drawn(pools[name][CALIBRATED:], LEVELS.most, rng) for key, name in names.items()
        }
        gates = [(key, rule) for key, name in names.items() for rule in rules[name]]
        results = judged(gates, own, LEVELS, labels)
        seeds += sum(max(r.values or 0 for r in results[i : i + 4]) for i in range(0, GATES, 4))
        verdicts = [result for result in results if result.verdict != "pass"]
        reds["red"] += bool(verdicts)
        reds["failed"] += any(result.verdict == "fail" for result in verdicts)
        for result in verdicts:
            reds[f"{result.check} {result.verdict}"] += 1
            print(number, result.check, result.verdict, result.detail, flush=True)
    detail = f"{seeds / parsed.suites / 5:.2f} seeds a variant on average; {dict(reds)}"
    where = conditions.where("+".join(pools), sum(map(len, pools.values())), f"{GATES} gates")
    rates = [
        (where, Rate("suite of 20 gates, clean", "red", reds["red"], parsed.suites, detail)),
        (where, Rate("suite of 20 gates, clean", "fail", reds["failed"], parsed.suites, detail)),
    ]
    for _, rate in rates:
        print(rate)
    write_rates(parsed.out, rates)


if __name__ == "__main__":
    main()
