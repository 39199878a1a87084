"""Error rates from the raw timings of `throughput.py`: the gate's, and those of other rules.

    python reports/calibration/timings.py raw/idle.csv raw/busy.csv --out FILE.csv

The same raw timings are given to the rules of pytest-benchmark and asv: once as they were taken,
side by side, and once as those tools are used, against a run that was stored some comparisons ago.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
from rates import Rate, write_rates
from scipy import stats

from cnnbench.ab.run import judge
from cnnbench.machine.environment import describe
from cnnbench.stats.sequential import look_plan
from cnnbench.verdicts.gates.ratio import RatioRule

RULE = RatioRule(0.03, looks=look_plan(5, 30), narrow=True)
SHORT = RatioRule(0.03, looks=(5,), narrow=True)
STORED = 100  # pairs between a stored run and the one held against it
NOISE = (0.10, 0.30)
SLOWER = 0.20
SESSIONS = 1000


@dataclass
class Timed:
    """Raw seconds of the rounds of one pair of fresh processes."""

    number: int
    planted: float
    a: list[float]
    b: list[float]

    @property
    def log_ratio(self) -> float:
        """As the gate takes it: the median over rounds."""
        return median(math.log(y / x) for x, y in zip(self.a, self.b, strict=True))


def read(path: Path) -> tuple[str, list[Timed]]:
    """Returns the condition and the pairs of a raw file, in order; a last torn one is left out."""
    found: dict[int, Timed] = {}
    condition = ""
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines):
            number, condition = int(row["pair"]), row["condition"]
            pair = found.setdefault(number, Timed(number, float(row["planted"]), [], []))
            pair.a.append(float(row["a"]))
            pair.b.append(float(row["b"]))
    rounds = max(len(pair.a) for pair in found.values())
    return condition, [pair for pair in found.values() if len(pair.a) == rounds]


def verdict_of(ratios: Sequence[float], rule: RatioRule) -> str:
    """Returns the verdict of the first look that has one; `undecided` if more pairs are needed."""
    for look in rule.looks:
        if look <= len(ratios):
            verdict = judge(ratios[:look], rule).verdict
            if verdict != "undecided":
                return verdict
    return "undecided"


def cut(pairs: Sequence[Timed], rule: RatioRule) -> Iterator[tuple[str, list[Timed]]]:
    """Cuts a stream of pairs into comparisons, each as long as the gate would have made it."""
    own: list[Timed] = []
    for pair in pairs:
        own.append(pair)
        if len(own) in rule.looks:
            verdict = judge([one.log_ratio for one in own], rule).verdict
            if verdict != "undecided":
                yield verdict, own
                own = []


def gate_rates(pairs: Sequence[Timed]) -> Iterator[Rate]:
    """Verdicts of the gate: on comparisons of five pairs, and as long as it takes."""
    for planted, own in by_planted(pairs).items():
        spread = float(np.std([pair.log_ratio for pair in own], ddof=1))
        for name, rule in (("5 pairs", SHORT), ("5 to 30 pairs", RULE)):
            found = list(cut(own, rule))
            verdicts = Counter(verdict for verdict, _ in found)
            length = fmean(len(one) for _, one in found)
            detail = f"{length:.1f} pairs on average, sd of a pair {spread:.2%}; {dict(verdicts)}"
            for outcome in ("fail",) if planted else ("fail", "pass"):
                what = f"gate, {planted:+.0%}, {name}"
                yield Rate(what, outcome, verdicts[outcome], len(found), detail)


def noise_rates(pairs: Sequence[Timed], seed: int) -> Iterator[Rate]:
    """Verdicts with noise injected into pairs drawn from the real ones."""
    pool = [pair.log_ratio for pair in pairs if not pair.planted]
    rng = np.random.default_rng(seed)
    for slower in (0.0, SLOWER):
        verdicts: Counter[str] = Counter()
        for _ in range(SESSIONS):
            noise = rng.normal(0.0, rng.uniform(*NOISE), RULE.looks[-1])
            ratios = rng.choice(pool, RULE.looks[-1]) + noise + math.log1p(slower)
            verdicts[verdict_of(ratios.tolist(), RULE)] += 1
        what = f"gate, {slower:+.0%}, noise of {NOISE[0]:.0%} to {NOISE[1]:.0%} of a pair"
        for outcome in ("inconclusive", "pass", "fail"):
            yield Rate(what, outcome, verdicts[outcome], SESSIONS)


def other_rates(pairs: Sequence[Timed]) -> Iterator[Rate]:
    """Alarms of other tools' rules on the timings of five pairs each."""
    groups = {
        planted: [own for _, own in cut(own, SHORT)] for planted, own in by_planted(pairs).items()
    }
    for planted, own in groups.items():
        for name, rule in RULES.items():
            near = sum(rule(flat(one, "a"), flat(one, "b")) for one in own)
            yield Rate(f"{name}, side by side, {planted:+.0%}", "fail", near, len(own))
            stored = [
                (earlier[-1], one)
                for one in own
                if (earlier := [c for c in groups[0.0] if c[-1].number <= one[0].number - STORED])
            ]
            far = sum(rule(flat(before, "a"), flat(one, "b")) for before, one in stored)
            yield Rate(f"{name}, stored run, {planted:+.0%}", "fail", far, len(stored))


def mean_above_5_percent(base: Sequence[float], head: Sequence[float]) -> bool:
    """pytest-benchmark's `--benchmark-compare-fail=mean:5%`."""
    return fmean(head) > 1.05 * fmean(base)


def asv(base: Sequence[float], head: Sequence[float]) -> bool:
    """asv's defaults: medians a factor of 1.1 apart, and Mann and Whitney's test below 0.002."""
    if median(head) <= 1.1 * median(base):
        return False
    return bool(stats.mannwhitneyu(base, head).pvalue < 0.002)


RULES: dict[str, Callable[[Sequence[float], Sequence[float]], bool]] = {
    "pytest-benchmark mean:5%": mean_above_5_percent,
    "asv": asv,
}


def flat(pairs: Sequence[Timed], side: str) -> list[float]:
    """Returns the seconds of all rounds of one side."""
    return [seconds for pair in pairs for seconds in getattr(pair, side)]


def by_planted(pairs: Sequence[Timed]) -> dict[float, list[Timed]]:
    """Returns the pairs by the share of extra work."""
    found: dict[float, list[Timed]] = defaultdict(list)
    for pair in pairs:
        found[pair.planted].append(pair)
    return dict(sorted(found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, help="also write a row a pair there")
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    identity = describe(Path.cwd())
    packages = " ".join(f"{name} {version}" for name, version in identity["packages"].items())
    rates, rows = [], []
    for path in parsed.raw:
        condition, pairs = read(path)
        where = {"condition": condition, "cpu": identity["machine"]["cpu"], "packages": packages}
        for part in (gate_rates(pairs), noise_rates(pairs, parsed.seed), other_rates(pairs)):
            for rate in part:
                print(condition, rate)
                rates.append((where, rate))
        for pair in pairs:
            medians = [f"{median(seconds) * 1e3:.4f}" for seconds in (pair.a, pair.b)]
            key = (condition, pair.number, pair.planted)
            rows.append((*key, *medians, f"{pair.log_ratio:.6f}"))
    write_rates(parsed.out, rates)
    if parsed.pairs:
        with parsed.pairs.open("w", newline="") as lines:
            writer = csv.writer(lines)
            writer.writerow(("condition", "pair", "planted", "a_ms", "b_ms", "log_ratio"))
            writer.writerows(rows)


if __name__ == "__main__":
    main()
