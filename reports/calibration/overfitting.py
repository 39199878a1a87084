"""Does the overfitting gate keep its error rates, whatever the number of held-out pictures?

    python reports/calibration/overfitting.py --report REPORT --out FILE.csv

Real answers of real runs: held-out sets of 100 to 2000 pictures are drawn from those that the runs
of the report were judged on, which stand for all pictures of their kind. A run's training
accuracy is its accuracy on all of them plus the planted gap and what its own gap truly differed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from rates import Conditions, Rate, write_rates

from cnnbench.records.records import TrainingRun
from cnnbench.verdicts.calibration import Runs, drawn, judged
from cnnbench.verdicts.gates.evidence import Levels, answers_of
from cnnbench.verdicts.gates.rules import GeneralizationGapLimit

LEVELS = Levels(alpha=0.01, beta=0.05, most=8)
MARGIN = 0.05
GAPS = (0.0, 0.02, 0.05, 0.10)
PICTURES = (100, 200, 500, 1000, 2000)


def planted(
    runs: Runs, labels: tuple[int, ...], gap: float, count: int, rng: np.random.Generator
) -> tuple[list[TrainingRun], tuple[int, ...]]:
    """Returns the runs on a drawn held-out set, with a gap that is known."""
    truth = np.asarray(labels)
    pictures = rng.choice(len(labels), count)
    usual = float(np.mean([run.generalization_gap for run in runs]))
    found = []
    for run in runs:
        right = answers_of(run) == truth
        accuracy = float(right[pictures].mean())
        own = run.generalization_gap - usual
        found.append(
            replace(
                run,
                train_accuracy=float(right.mean()) + gap + own,
                val_accuracy=accuracy,
                val_probabilities=tuple(run.val_probabilities[index] for index in pictures),
            )
        )
    return found, tuple(int(truth[index]) for index in pictures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--variants", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    conditions = Conditions.of(parsed.report)
    wanted = parsed.variants.split(",") if parsed.variants else list(conditions.pools())
    rates = []
    for variant in wanted:
        runs = conditions.pools()[variant]
        where = conditions.where(variant, len(runs), f"margin {MARGIN}")
        for count in PICTURES:
            for gap in GAPS:
                rng = np.random.default_rng(parsed.seed)
                verdicts: Counter[str] = Counter()
                for _ in range(parsed.sessions):
                    pool, labels = planted(
                        drawn(runs, LEVELS.most, rng),
                        conditions.data.validation_labels,
                        gap,
                        count,
                        rng,
                    )
                    (result,) = judged(
                        [("", GeneralizationGapLimit(MARGIN))], {"": pool}, LEVELS, labels
                    )
                    verdicts[result.verdict] += 1
                what = f"gap of {gap:.0%}, {count} held-out pictures"
                rate = Rate(what, "fail", verdicts["fail"], parsed.sessions, str(dict(verdicts)))
                print(variant, rate, flush=True)
                rates.append((where, rate))
    write_rates(parsed.out, rates)


if __name__ == "__main__":
    main()
