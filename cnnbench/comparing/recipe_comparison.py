"""Two recipes on the same held-out pictures: three questions answered. Pure.

What these trained networks do, what the recipes do on these pictures, and what they do on other
pictures are different questions with different errors; each result says which one it answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnbench.comparing.recipes import Recipe
from cnnbench.stats.families import holm
from cnnbench.stats.intervals import Estimate, difference_of, picture_error, spread_of, widened
from cnnbench.stats.paired import McNemar, mcnemar
from cnnbench.stats.power import smallest_difference

LEVEL = 0.05  # two-sided; an answer is yes where the p value is at most this
POWER = 0.9


@dataclass(frozen=True)
class NetworkPair:
    """The two networks of one seed; `adjusted` is the p value by Holm over all seeds."""

    seed: int
    test: McNemar
    adjusted: float

    @property
    def found(self) -> bool:
        return self.adjusted <= LEVEL


@dataclass(frozen=True)
class ChangedVote:
    """A picture on which the majorities over seeds differ; classes by number, or `NONE`."""

    picture: str
    truth: int
    first: int
    second: int


@dataclass(frozen=True)
class Difference:
    """The second's accuracy minus the first's."""

    estimate: Estimate

    @property
    def p_value(self) -> float:
        """Of "no difference", two-sided."""
        return min(1.0, 2 * min(self.estimate.p_above(0.0), self.estimate.p_below(0.0)))

    @property
    def found(self) -> bool:
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class RecipeComparison:
    """The second recipe compared with the first.

    Args:
        networks: do these networks answer these pictures differently? Those of common seeds.
        votes: pictures on which the majorities differ.
        seeds: is the recipe better on these pictures, under new seeds?
        everywhere: and on new pictures of their kind, too?
        smallest: difference of recipes that these seeds find with 90 % power.
        differing: conditions that differ, a line each.
    """

    first: Recipe
    second: Recipe
    networks: tuple[NetworkPair, ...]
    votes: tuple[ChangedVote, ...]
    seeds: Difference
    everywhere: Difference
    smallest: float
    differing: tuple[str, ...]


def compare_recipes(first: Recipe, second: Recipe) -> RecipeComparison:
    """Compares two recipes, picture by picture.

    Question 2 is Student's pooled t over seeds, unpaired, since networks of different recipes share
    nothing but a seed's number. Question 3 adds to its error what drawing other pictures would
    change, from the differences within pictures (`stats.intervals.picture_error`).

    Raises:
        ValueError: if they were not asked the same questions.
    """
    _require_same_pictures(first, second)
    seeds = difference_of(second.accuracies, first.accuracies)
    spread = spread_of(first.accuracies).pooled(spread_of(second.accuracies))
    return RecipeComparison(
        first=first,
        second=second,
        networks=_networks(first, second),
        votes=_votes(first, second),
        seeds=Difference(seeds),
        everywhere=Difference(widened(seeds, *picture_error(second.correct, first.correct))),
        smallest=smallest_difference(
            spread.sd, len(first.seeds), len(second.seeds), LEVEL / 2, POWER
        ),
        differing=tuple(
            f"{name}: {first.conditions.get(name)} and {second.conditions.get(name)}"
            for name in dict.fromkeys((*first.conditions, *second.conditions))
            if first.conditions.get(name) != second.conditions.get(name)
        ),
    )


def _require_same_pictures(first: Recipe, second: Recipe) -> None:
    problems = []
    if first.data_hash != second.data_hash:
        problems.append(
            f"the pictures differ: {first.data} {first.data_hash[:12]} "
            f"and {second.data} {second.data_hash[:12]}"
        )
    if first.classes != second.classes:
        problems.append(f"the classes differ: {first.classes} and {second.classes}")
    if first.pictures != second.pictures:
        odd = sorted(set(first.pictures) ^ set(second.pictures))
        which = f"{len(odd)} are in one only, {odd[0]!r} for one" if odd else "another order"
        problems.append(f"the names of the held-out pictures differ: {which}")
    elif first.classes == second.classes and (first.truth != second.truth).any():
        problems.append("the true classes of the held-out pictures differ")
    if problems:
        raise ValueError(
            f"Not comparable: {'; '.join(problems)}. "
            f"Received: first={first.label!r}, second={second.label!r}"
        )


def _networks(first: Recipe, second: Recipe) -> tuple[NetworkPair, ...]:
    before = dict(zip(first.seeds, first.correct, strict=True))
    after = dict(zip(second.seeds, second.correct, strict=True))
    common = [seed for seed in before if seed in after]
    tests = [mcnemar(before[seed], after[seed]) for seed in common]
    return tuple(map(NetworkPair, common, tests, holm([test.p_value for test in tests])))


def _votes(first: Recipe, second: Recipe) -> tuple[ChangedVote, ...]:
    before, after = first.majority(), second.majority()
    return tuple(
        ChangedVote(first.pictures[at], int(first.truth[at]), int(before[at]), int(after[at]))
        for at in np.flatnonzero(before != after)
    )
