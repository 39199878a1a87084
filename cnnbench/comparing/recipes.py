"""Two recipes on the same held-out pictures: answers read from reports, three questions answered.

What these trained networks do, what the recipes do on these pictures, and what they do on other
pictures are different questions with different errors; each result says which one it answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cnnbench.report.frames import Report
from cnnbench.stats.intervals import Estimate, difference_of, picture_error, spread_of, widened
from cnnbench.stats.power import smallest_difference
from cnnbench.stats.sequential import holm
from cnnbench.stats.two_samples import McNemar, mcnemar
from cnnbench.verdicts.gates.baselines import IDENTITY
from cnnbench.verdicts.gates.evidence import mean_sd

LEVEL = 0.05  # two-sided; an answer is yes where the p value is at most this
POWER = 0.9
NONE = -1  # an answer that is not a number, or the majority of votes that are tied
CONDITIONS = tuple(name for name in IDENTITY if name != "data_hash")  # compared by itself


@dataclass(frozen=True)
class Recipe:
    """A way of training, with what its networks answered to every held-out picture.

    Args:
        label: names the recipe in what people read.
        data: name of the pictures, `data_hash` their content.
        classes: in the order of the network's outputs.
        pictures: names, `truth` the class of each, `(pictures,)`.
        seeds: one per network, `given` the class it gave, `(seeds, pictures)`.
        conditions: under which the networks were trained, by name.
    """

    label: str
    data: str
    data_hash: str
    classes: tuple[str, ...]
    pictures: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    seeds: tuple[int, ...]
    given: npt.NDArray[np.int64]
    conditions: dict[str, str] = field(default_factory=dict)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each network was right on each picture, `(seeds, pictures)`."""
        return np.equal(self.given, self.truth, dtype=np.bool_)

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(map(float, self.correct.mean(axis=1)))

    @property
    def constant(self) -> tuple[int, ...]:
        """Seeds whose network gave one answer to all pictures."""
        rows = zip(self.seeds, self.given, strict=True)
        return tuple(seed for seed, row in rows if (row == row[0]).all())

    def majority(self) -> npt.NDArray[np.int64]:
        """Returns the class that most seeds gave, `NONE` where votes are tied, `(pictures,)`."""
        votes = np.array([(self.given == n).sum(axis=0) for n in range(len(self.classes))])
        tied = (votes == votes.max(axis=0)).sum(axis=0) > 1
        return np.where(tied, NONE, votes.argmax(axis=0)).astype(np.int64)


def variants_of(report: Report) -> tuple[str, ...]:
    """Returns the variants whose answers are in the report."""
    return tuple(dict.fromkeys(report.predictions["variant"]))


def recipe_of(report: Report, variant: str, label: str) -> Recipe:
    """Returns one variant's answers.

    Raises:
        ValueError: if the variant is not in the report, or its runs are not one per seed, each
            with an answer to the same pictures.
    """
    received = f"Received: variant={variant!r}, report={label!r}"
    if variant not in variants_of(report):
        raise ValueError(
            "No answers of this variant in the report; it has those of "
            f"{', '.join(variants_of(report)) or 'none'}. {received}"
        )
    runs = report.runs[report.runs["variant"] == variant]
    rows = report.predictions[report.predictions["variant"] == variant]
    groups = {int(seed): own for seed, own in rows.groupby("seed")}
    one = next(iter(groups.values()))
    names = tuple(one["picture"])
    if len(set(names)) < len(names) or any(tuple(g["picture"]) != names for g in groups.values()):
        raise ValueError(
            "Expected one run per seed, each with one answer to the same pictures. "
            f"{received}, seeds={runs['seed'].tolist()}"
        )
    if runs["data_hash"].nunique() != 1:
        raise ValueError(
            "Expected runs on the same pictures. "
            f"{received}, data_hash={sorted(set(runs['data_hash']))}"
        )
    # A report without an environment does not contain their order.
    stated = (report.environment.get("data") or {}).get("classes")
    classes = tuple(stated or sorted({*rows["true_class"], *rows["predicted_class"]} - {""}))
    return Recipe(
        label=label,
        data=str(runs["data"].iloc[0]),
        data_hash=str(runs["data_hash"].iloc[0]),
        classes=classes,
        pictures=names,
        truth=_numbers(one["true_class"], classes),
        seeds=tuple(groups),
        given=np.stack([_numbers(own["predicted_class"], classes) for own in groups.values()]),
        conditions={name: ", ".join(map(str, sorted(set(runs[name])))) for name in CONDITIONS},
    )


def _numbers(names: pd.Series, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    number = {name: at for at, name in enumerate(classes)}
    return np.array([number.get(name, NONE) for name in names], np.int64)


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


def compare_reports(
    reports: Sequence[tuple[str, Report]], variants: Sequence[str] = ()
) -> list[RecipeComparison]:
    """Compares the recipes of reports with the same one of the first.

    Args:
        reports: with their labels; of a lone one, `variants` are compared with the first of them.
        variants: which to compare; all in common if there are none.

    Raises:
        ValueError: if there is nothing to compare, or the pictures differ.
    """
    (label, first), *others = reports
    known = variants_of(first)
    if not others:
        if len(variants) < 2:
            raise ValueError(
                f"With one report, --variants names at least two of its variants: "
                f"{', '.join(known)}. Received: variants={','.join(variants)!r}"
            )
        before, *later = (recipe_of(first, name, name) for name in variants)
        return [compare_recipes(before, one) for one in later]
    found = []
    for other_label, other in others:
        common = variants or [name for name in known if name in variants_of(other)]
        if not common:
            raise ValueError(
                "The reports have no trained variant in common. Received: "
                f"{label}: {', '.join(known) or 'none'}; "
                f"{other_label}: {', '.join(variants_of(other)) or 'none'}"
            )
        for name in common:
            before = recipe_of(first, name, f"{name} of {label}")
            after = recipe_of(other, name, f"{name} of {other_label}")
            found.append(compare_recipes(before, after))
    return found


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
        *_network_lines(one),
        *_vote_lines(one, pictures),
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


def _network_lines(one: RecipeComparison) -> Iterator[str]:
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


def _vote_lines(one: RecipeComparison, pictures: int) -> Iterator[str]:
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
