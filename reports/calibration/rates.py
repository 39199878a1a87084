"""Measured rates with exact bounds, and the conditions under which they were measured."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cnnbench.records.journal import JOURNAL_NAME, read_journal
from cnnbench.records.records import DataSet, Environment, TrainingRun
from cnnbench.stats.intervals import clopper_pearson


@dataclass(frozen=True)
class Rate:
    """How often something happened, with Clopper and Pearson's 95 % interval; empty `of` none."""

    what: str
    outcome: str
    count: int
    of: int
    detail: str = ""

    def __str__(self) -> str:
        rate, low, high = self._numbers()
        share = "" if rate is None else f" = {rate:.2%} ({low:.2%} to {high:.2%})"
        return f"{self.what}: {self.outcome} {self.count} of {self.of}{share} {self.detail}"

    def row(self) -> dict[str, object]:
        rate, low, high = self._numbers()
        return {
            "what": self.what,
            "outcome": self.outcome,
            "count": self.count,
            "of": self.of,
            "rate": rate,
            "low": low,
            "high": high,
            "detail": self.detail,
        }

    def _numbers(self) -> tuple[float, float, float] | tuple[None, None, None]:
        if self.of == 0:
            return None, None, None
        bounds = clopper_pearson(self.count, self.of)
        return self.count / self.of, bounds.low, bounds.high


@dataclass(frozen=True)
class Conditions:
    """A report of real runs: what they were trained on, and where."""

    environment: Environment
    data: DataSet
    runs: tuple[TrainingRun, ...]

    @classmethod
    def of(cls, report: Path) -> Conditions:
        records = read_journal(report / JOURNAL_NAME)
        return cls(
            next(one for one in records if isinstance(one, Environment)),
            next(one for one in records if isinstance(one, DataSet)),
            tuple(one for one in records if isinstance(one, TrainingRun)),
        )

    def pools(self) -> dict[str, list[TrainingRun]]:
        """Returns the runs of each variant, by seed."""
        found: dict[str, list[TrainingRun]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.seed):
            found[run.variant].append(run)
        return dict(found)

    def where(self, variant: str, runs: int, note: str = "") -> dict[str, object]:
        """Returns the columns that say what a rate was measured on."""
        content = self.environment.content
        return {
            "data": self.data.name,
            "variant": variant,
            "runs": runs,
            "held_out": len(self.data.validation_labels),
            "cpu": content["machine"]["cpu"],
            "packages": " ".join(
                f"{name} {version}"
                for name, version in content["packages"].items()
                if name in ("keras", "numpy", "scipy") or name.startswith("tensorflow")
            ),
            "note": note,
        }


def write_rates(path: Path, rates: Iterable[tuple[dict[str, object], Rate]]) -> None:
    """Writes a row a rate."""
    rows = [{**rate.row(), **where} for where, rate in rates]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
