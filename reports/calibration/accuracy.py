"""Does the accuracy gate keep its stated error rates? Resampled from real training runs.

    python reports/calibration/accuracy.py --report REPORT --out reports/calibration/accuracy.csv

The report holds at least 60 training runs of each variant. Each session draws its seeds from them,
without replacement, and is judged by the same jury that judges a pytest session.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rates import Conditions, Rate, write_rates

from cnnbench.stats.intervals import UNKNOWN, mean_of, picture_error, spread_of, widened
from cnnbench.verdicts.calibration import Runs, drawn, judged, with_drop
from cnnbench.verdicts.gates.baselines import baseline_of
from cnnbench.verdicts.gates.evidence import Levels, collapsed_seeds, correct_of
from cnnbench.verdicts.gates.rules import AccuracyDrop, AccuracyTarget

BASELINE_SEEDS = 20
PICTURES = 320
LEVELS = Levels(alpha=0.01, beta=0.05, most=8)
DROPS = (0.0, 0.01, 0.02, 0.03)


def drops(
    runs: Runs, labels: tuple[int, ...], sessions: int, rng: np.random.Generator
) -> Iterator[Rate]:
    """Alarms of the gate against a baseline of 20 seeds, with 3 to 8 new ones."""
    for share in DROPS:
        verdicts: Counter[str] = Counter()
        seeds = 0
        for _ in range(sessions):
            pool = drawn(runs, BASELINE_SEEDS + LEVELS.most, rng)
            baseline = baseline_of(pool[: -LEVELS.most], ())
            new = [with_drop(run, share, labels, rng) for run in pool[-LEVELS.most :]]
            new = drawn(new, len(new), rng)
            rules = [("new", AccuracyDrop(baseline))]
            (result,) = judged(rules, {"new": new}, LEVELS, labels)
            verdicts[result.verdict] += 1
            seeds += result.values or 0
        detail = f"{seeds / sessions:.2f} new seeds on average; {dict(verdicts)}"
        yield Rate(
            f"accuracy_drop, {share:.0%} planted", "fail", verdicts["fail"], sessions, detail
        )


def targets(
    runs: Runs, labels: tuple[int, ...], sessions: int, rng: np.random.Generator
) -> Iterator[Rate]:
    """Verdicts against targets at and around the true mean, with and without a known spread."""
    mean = float(np.mean([run.val_accuracy for run in runs]))
    for known in (False, True):
        for offset in (-0.03, 0.0, 0.03):
            verdicts: Counter[str] = Counter()
            for _ in range(sessions):
                pool = drawn(runs, BASELINE_SEEDS + LEVELS.most, rng)
                spread = spread_of([run.val_accuracy for run in pool[LEVELS.most :]])
                rule = AccuracyTarget(mean + offset, spread if known else UNKNOWN)
                pools = {"new": pool[: LEVELS.most]}
                (result,) = judged([("new", rule)], pools, LEVELS, labels)
                verdicts[result.verdict] += 1
            for verdict in ("fail", "pass"):
                name = f"accuracy, target at the mean {offset:+.2f}{_spread(known)}"
                yield Rate(name, verdict, verdicts[verdict], sessions, str(dict(verdicts)))


def coverage(
    runs: Runs, labels: tuple[int, ...], sessions: int, rng: np.random.Generator
) -> Iterator[Rate]:
    """How often 95 % intervals hold what they should: of the recipe, and on new pictures."""
    mean = float(np.mean([run.val_accuracy for run in runs]))
    correct = correct_of(runs, labels)
    for count, known in itertools.product((3, 5, 8), (False, True)):
        held = wide = 0
        for _ in range(sessions):
            chosen = rng.choice(len(runs), count + BASELINE_SEEDS, replace=False)
            others = [runs[index].val_accuracy for index in chosen[count:]]
            spread = spread_of(others) if known else UNKNOWN
            chosen = chosen[:count]
            values = [runs[index].val_accuracy for index in chosen]
            interval = mean_of(values, spread).interval()
            held += interval.low <= mean <= interval.high
            # A smaller set of pictures, drawn from the held-out ones as from their kind.
            pictures = rng.choice(len(labels), PICTURES, replace=True)
            part = correct[chosen][:, pictures]
            estimate = mean_of(part.mean(axis=1).tolist(), UNKNOWN)
            interval = widened(estimate, *picture_error(part)).interval()
            wide += interval.low <= mean <= interval.high
        name = f"95 % interval of the recipe, {count} seeds{_spread(known)}"
        yield Rate(name, "holds", held, sessions)
        if not known:
            name = f"95 % interval on new pictures, {count} seeds, {PICTURES} pictures"
            yield Rate(name, "holds", wide, sessions)


def _spread(known: bool) -> str:
    return f", spread known from {BASELINE_SEEDS} other seeds" if known else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, required=True, action="append")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    rates = []
    for report in parsed.report:
        conditions = Conditions.of(report)
        for variant, runs in conditions.pools().items():
            labels = conditions.data.validation_labels
            dead = collapsed_seeds(runs, labels)
            where = conditions.where(variant, len(runs), f"collapsed seeds {dead}")
            for part in (targets, coverage, drops):
                rng = np.random.default_rng(parsed.seed)
                for rate in part(runs, labels, parsed.sessions, rng):
                    print(where["variant"], rate, flush=True)
                    rates.append((where, rate))
    write_rates(parsed.out, rates)


if __name__ == "__main__":
    main()
