"""The comparison of two recipes, in words and as rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from cnnbench.comparing.recipes import Difference, Recipe, RecipeComparison
from cnnbench.verdicts.gates.evidence import mean_sd

QUESTIONS = {
    "networks": "1. Do these trained networks answer these pictures differently?",
    "seeds": "2. Is the recipe better, on these pictures, under new seeds?",
    "everywhere": "3. Is it also better on new pictures of this kind?",
}
FOUND = ("difference", "low", "high", "p_value")


def recipe_text(one: RecipeComparison, pictures: int) -> str:
    """Returns a comparison for a terminal, with up to `pictures` changed votes."""
    first, second = one.first, one.second
    lines = [
        f"A {_accuracy(first)}",
        f"B {_accuracy(second)}",
        f"on {first.data}, {len(first.pictures)} held-out pictures",
        *(f"differs, A and B: {line}" for line in one.differing),
        "",
        QUESTIONS["networks"],
        *_networks(one),
        *_votes(one, pictures),
        "",
        QUESTIONS["seeds"],
        f"   {_difference(one.seeds)}",
        f"   Student's pooled t, {len(first.seeds)} and {len(second.seeds)} seeds: they find a "
        f"difference of {one.smallest:.4f} with 90 % power",
        "",
        QUESTIONS["everywhere"],
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
    for row in one.networks:
        test = row.test
        yield (
            f"   {row.seed:4d}  {test.only_first:13d}  {test.only_second:6d}  "
            f"{test.difference:+.4f}  {test.p_value:15.2g}  {row.adjusted:15.2g}"
        )
    found = [str(row.seed) for row in one.networks if row.found]
    if found:
        yield f"   yes, in {len(found)} of {len(one.networks)} seeds: {', '.join(found)}"
    else:
        yield "   no difference was found"


def _votes(one: RecipeComparison, pictures: int) -> Iterator[str]:
    classes = (*one.first.classes, "tied")  # the last by -1, too
    lost = sum(vote.first == vote.truth for vote in one.votes)
    won = sum(vote.second == vote.truth for vote in one.votes)
    yield (
        f"   majority votes over seeds differ on {len(one.votes)} of {len(one.first.pictures)} "
        f"pictures: A right on {lost} of them, B on {won}"
    )
    for vote in one.votes[:pictures]:
        yield f"     {vote.picture}: A {classes[vote.first]}, B {classes[vote.second]}"
    if 0 < pictures < len(one.votes):
        yield f"     ... and {len(one.votes) - pictures} more"


def _difference(difference: Difference) -> str:
    value, interval = difference.estimate.value, difference.estimate.interval()
    answer = "yes, B is better" if value > 0 else "no, B is worse"
    return (
        f"{answer if difference.found else 'undecided'}: B - A is {value:+.4f}, 95 % interval "
        f"{interval.low:+.4f} to {interval.high:+.4f}, p = {difference.p_value:.2g}"
    )


def question_frame(comparisons: Sequence[RecipeComparison]) -> pd.DataFrame:
    """Returns a row for each question of each comparison.

    The first question's difference is the mean over common seeds, and its p value the smallest
    after Holm's adjustment.
    """
    rows = []
    for one in comparisons:
        shared = {
            "first": one.first.label,
            "second": one.second.label,
            "data": one.first.data,
            "pictures": len(one.first.pictures),
            "first_seeds": len(one.first.seeds),
            "second_seeds": len(one.second.seeds),
            "common_seeds": len(one.networks),
            "votes_differ": len(one.votes),
            "differing": "; ".join(one.differing),
        }
        networks = pd.Series([row.test.difference for row in one.networks], dtype="float64")
        least = min((row.adjusted for row in one.networks), default=math.nan)
        found = [(networks.mean(), math.nan, math.nan, least)]
        for each in (one.seeds, one.everywhere):
            interval = each.estimate.interval()
            found.append((each.estimate.value, interval.low, interval.high, each.p_value))
        rows += [
            {**shared, "question": name, **dict(zip(FOUND, values, strict=True))}
            for name, values in zip(QUESTIONS, found, strict=True)
        ]
    return pd.DataFrame(rows)
