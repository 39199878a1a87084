"""Two recipes on the same held-out pictures: answers read from reports, three questions answered.

What these trained networks do, what the recipes do on these pictures, and what they do on other
pictures are different questions with different errors; each result says which one it answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from cnnbench.comparing.speeds import differing
from cnnbench.report.frames import Report
from cnnbench.stats.intervals import Estimate, difference_of, picture_error, spread_of, widened
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.sequential import holm
from cnnbench.stats.two_samples import McNemar, mcnemar
from cnnbench.verdicts.gates.baselines import IDENTITY
from cnnbench.verdicts.gates.evidence import mean_sd

LEVEL = 0.05  # two-sided; an answer is yes where the p value is at most this


@dataclass(frozen=True)
class Recipe:
    """A way of training, with what its networks answered to every held-out picture.

    `truth` has the class of each picture, by its name; `given` the class that each network gave, a
    row for each picture and a column for each seed.
    """

    label: str
    data: str
    data_hash: str
    truth: pd.Series
    given: pd.DataFrame
    conditions: dict[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        return list(self.given)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each network was right on each picture, `(seeds, pictures)`."""
        return np.asarray(self.given.eq(self.truth, axis="index"), np.bool_).T

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(map(float, self.correct.mean(axis=1)))

    @property
    def constant(self) -> list[int]:
        """Seeds whose network gave one answer to all pictures."""
        return [seed for seed in self.seeds if self.given[seed].nunique() == 1]


def recipe_of(report: Report, variant: str, label: str) -> Recipe:
    """Returns one variant's answers: a run per seed, each with an answer to the same pictures."""
    received = f"Received: variant={variant!r}, report={label!r}"
    rows = report.predictions[report.predictions["variant"] == variant]
    runs = report.runs[report.runs["variant"] == variant]
    if rows.empty:
        raise ValueError(
            "No answers of this variant in the report; it has those of "
            f"{', '.join(_variants(report)) or 'none'}. {received}"
        )
    if (pd.crosstab(rows["picture"], rows["seed"]) != 1).any(axis=None):
        raise ValueError(
            "Expected one run per seed, each with one answer to the same pictures. "
            f"{received}, seeds={runs['seed'].tolist()}"
        )
    return Recipe(
        label=label,
        data=runs["data"].iloc[0],
        data_hash=runs["data_hash"].iloc[0],
        truth=rows.groupby("picture")["true_class"].first(),
        given=rows.pivot(index="picture", columns="seed", values="predicted_class"),
        conditions={
            name: ", ".join(map(str, sorted(set(runs[name]))))
            for name in IDENTITY
            if name != "data_hash"
        },
    )


def _variants(report: Report) -> list[str]:
    return list(report.predictions["variant"].unique())


def p_value(difference: Estimate) -> float:
    """Returns the p value of "no difference", two-sided."""
    return min(1.0, 2 * min(difference.p_above(0.0), difference.p_below(0.0)))


@dataclass(frozen=True)
class RecipeComparison:
    """The second recipe compared with the first; they must have answered the same questions."""

    first: Recipe
    second: Recipe

    def __post_init__(self) -> None:
        first, second = self.first, self.second
        problem = ""
        odd = sorted(set(first.truth.index) ^ set(second.truth.index))
        if first.data_hash != second.data_hash:
            sides = [f"{one.data} {one.data_hash[:12]}" for one in (first, second)]
            problem = f"the pictures differ: {sides[0]} and {sides[1]}"
        elif odd:
            problem = f"{len(odd)} held-out pictures are in one only, {odd[0]!r} for one"
        elif (first.truth != second.truth).any():
            problem = "the true classes of the held-out pictures differ"
        if problem:
            raise ValueError(
                f"Not comparable: {problem}. "
                f"Received: first={first.label!r}, second={second.label!r}"
            )

    @cached_property
    def networks(self) -> dict[int, tuple[McNemar, float]]:
        """Do these networks answer these pictures differently? Test and Holm's p value by seed."""
        before = dict(zip(self.first.seeds, self.first.correct, strict=True))
        after = dict(zip(self.second.seeds, self.second.correct, strict=True))
        tests = {seed: mcnemar(before[seed], after[seed]) for seed in before if seed in after}
        adjusted = holm([test.p_value for test in tests.values()])
        return {seed: (tests[seed], p) for seed, p in zip(tests, adjusted, strict=True)}

    @cached_property
    def votes(self) -> pd.Series:
        """The pictures that most networks of only one recipe get right: `A` or `B`, by name."""
        first, second = (one.correct.mean(axis=0) > 0.5 for one in (self.first, self.second))
        return pd.Series(np.where(first, "A", "B"), self.first.truth.index)[first != second]

    @property
    def seeds(self) -> Estimate:
        """Is the recipe better on these pictures, under new seeds? The difference of accuracies.

        By Student's pooled t over seeds, unpaired, since networks of different recipes share
        nothing but a seed's number.
        """
        return difference_of(self.second.accuracies, self.first.accuracies)

    @property
    def everywhere(self) -> Estimate:
        """And on new pictures of their kind, too? Adds what drawing other pictures would change."""
        return widened(self.seeds, *picture_error(self.second.correct, self.first.correct))

    @property
    def smallest(self) -> float:
        """The difference of recipes that these seeds find with 90 % power."""
        first, second = self.first.accuracies, self.second.accuracies
        sd = spread_of(first).pooled(spread_of(second)).sd
        return smallest_difference(sd, len(first), len(second), LEVEL / 2)

    @property
    def differing(self) -> tuple[str, ...]:
        """Conditions of the trainings that differ, a line each."""
        return differing(self.first.conditions, self.second.conditions)


def compare_reports(
    reports: Sequence[tuple[str, Report]], variants: Sequence[str] = ()
) -> list[RecipeComparison]:
    """Compares the recipes of labelled reports with the same one of the first.

    Without `variants`, all in common; those of a lone report are compared with the first of them.
    """
    (label, first), *others = reports
    if not others:
        if len(variants) < 2:
            raise ValueError(
                f"With one report, --variants names at least two of its variants: "
                f"{', '.join(_variants(first))}. Received: variants={','.join(variants)!r}"
            )
        before, *later = (recipe_of(first, name, name) for name in variants)
        return [RecipeComparison(before, one) for one in later]
    found = []
    for other_label, other in others:
        common = variants or [name for name in _variants(first) if name in _variants(other)]
        if not common:
            raise ValueError(
                "The reports have no trained variant in common. Received: "
                f"{label}: {', '.join(_variants(first)) or 'none'}; "
                f"{other_label}: {', '.join(_variants(other)) or 'none'}"
            )
        for name in common:
            before = recipe_of(first, name, f"{name} of {label}")
            after = recipe_of(other, name, f"{name} of {other_label}")
            found.append(RecipeComparison(before, after))
    return found


def recipe_text(one: RecipeComparison, pictures: int) -> str:
    """Returns a comparison for a terminal, with up to `pictures` changed votes."""
    first, second, votes = one.first, one.second, one.votes
    lines = [
        f"A {_accuracy(first)}",
        f"B {_accuracy(second)}",
        f"on {first.data}, {len(first.truth)} held-out pictures",
        *(f"differs, A and B: {line}" for line in one.differing),
        "",
        "1. Do these trained networks answer these pictures differently?",
        *_networks(one),
        f"   majority votes over seeds differ on {len(votes)} of {len(first.truth)} pictures: "
        f"A right on {(votes == 'A').sum()} of them, B on {(votes == 'B').sum()}",
        *(f"     {name}: {side} right" for name, side in votes.head(pictures).items()),
        *([f"     ... and {len(votes) - pictures} more"] if 0 < pictures < len(votes) else []),
        "",
        "2. Is the recipe better, on these pictures, under new seeds?",
        f"   {_difference(one.seeds)}",
        f"   Student's pooled t, {len(first.seeds)} and {len(second.seeds)} seeds: they find a "
        f"difference of {one.smallest:.4f} with 90 % power",
        "",
        "3. Is it also better on new pictures of this kind?",
        f"   {_difference(one.everywhere)}",
        "   with the error of seeds and of drawing other pictures, paired by picture",
    ]
    return "\n".join(lines)


def _accuracy(recipe: Recipe) -> str:
    constant = ", ".join(map(str, recipe.constant))
    dead = f"; one answer to all pictures: seeds {constant}" if constant else ""
    return f"{recipe.label}: held-out accuracy {mean_sd(recipe.accuracies)}{dead}"


def _networks(one: RecipeComparison) -> Iterator[str]:
    if not one.networks:
        yield "   no seed in common"
        return
    yield "   seed  right: only A  only B    B - A  exact McNemar p  Holm over seeds"
    for seed, (test, adjusted) in one.networks.items():
        yield (
            f"   {seed:4d}  {test.only_first:13d}  {test.only_second:6d}  "
            f"{test.difference:+.4f}  {test.p_value:15.2g}  {adjusted:15.2g}"
        )
    found = [str(seed) for seed, (_, adjusted) in one.networks.items() if adjusted <= LEVEL]
    if found:
        yield f"   yes, in {len(found)} of {len(one.networks)} seeds: {', '.join(found)}"
    else:
        yield "   no difference was found"


def _difference(change: Estimate) -> str:
    interval, p = change.interval(), p_value(change)
    answer = "yes, B is better" if change.value > 0 else "no, B is worse"
    return (
        f"{answer if p <= LEVEL else 'undecided'}: B - A is {change.value:+.4f}, 95 % interval "
        f"{interval.low:+.4f} to {interval.high:+.4f}, p = {p:.2g}"
    )


def question_frame(comparisons: Sequence[RecipeComparison]) -> pd.DataFrame:
    """Returns a row for each question of a comparison; of networks, mean and least p value."""
    rows = []
    for one in comparisons:
        networks = pd.Series([test.difference for test, _ in one.networks.values()], dtype=float)
        row = {
            "first": one.first.label,
            "second": one.second.label,
            "data": one.first.data,
            "pictures": len(one.first.truth),
            "first_seeds": len(one.first.seeds),
            "second_seeds": len(one.second.seeds),
            "common_seeds": len(one.networks),
            "votes_differ": len(one.votes),
            "differing": "; ".join(one.differing),
            "question": "networks",
            "difference": networks.mean(),
            "low": math.nan,
            "high": math.nan,
            "p_value": min((p for _, p in one.networks.values()), default=math.nan),
        }
        rows.append(row)
        for name, change in {"seeds": one.seeds, "everywhere": one.everywhere}.items():
            own = {"difference": change.value, "p_value": p_value(change)}
            rows.append({**row, "question": name, **own, **vars(change.interval())})
    return pd.DataFrame(rows)
