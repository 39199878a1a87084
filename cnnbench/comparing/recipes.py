"""Two recipes on the same held-out pictures: answers in, three questions answered, pure.

What these trained networks do, what the recipes do on these pictures, and what they do on other
pictures are different questions with different errors; each result says which one it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cnnbench.stats.families import holm
from cnnbench.stats.intervals import Estimate, difference_of, picture_error, spread_of, widened
from cnnbench.stats.paired import McNemar, mcnemar
from cnnbench.stats.power import smallest_difference

LEVEL = 0.05  # two-sided; an answer is yes where the p value is at most this
POWER = 0.9
NONE = -1  # the majority of votes that are tied


@dataclass(frozen=True)
class Answers:
    """What every network of one recipe answered to every held-out picture.

    Args:
        label: names the recipe in what people read.
        data: name of the pictures, `data_hash` their content.
        classes: in the order of the network's outputs.
        pictures: names, `truth` the class of each, `(pictures,)`.
        seeds: one a network, `given` the class it gave, `(seeds, pictures)`.
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
        every = range(len(self.classes))
        votes = np.array([(self.given == number).sum(axis=0) for number in every])
        tied = (votes == votes.max(axis=0)).sum(axis=0) > 1
        return np.where(tied, NONE, votes.argmax(axis=0)).astype(np.int64)


@dataclass(frozen=True)
class Networks:
    """Two trained networks of one seed; `adjusted` is the p value by Holm over all seeds."""

    seed: int
    test: McNemar
    adjusted: float

    @property
    def found(self) -> bool:
        return self.adjusted <= LEVEL


@dataclass(frozen=True)
class Vote:
    """A picture on which the majorities over seeds differ; classes by number, or `NONE`."""

    picture: str
    truth: int
    first: int
    second: int


@dataclass(frozen=True)
class Difference:
    """The second's accuracy less the first's; `p_value` of "none" is two-sided."""

    estimate: Estimate
    p_value: float

    @property
    def found(self) -> bool:
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class Comparison:
    """The second recipe against the first.

    Args:
        networks: do these networks answer these pictures differently? Those of common seeds.
        votes: pictures on which the majorities differ.
        seeds: is the recipe better on these pictures, under new seeds?
        everywhere: and on new pictures of their kind, too?
        smallest: difference of recipes that these seeds find with 90 % power.
        differing: conditions that differ, a line each.
    """

    first: Answers
    second: Answers
    networks: tuple[Networks, ...]
    votes: tuple[Vote, ...]
    seeds: Difference
    everywhere: Difference
    smallest: float
    differing: tuple[str, ...]


def compare(first: Answers, second: Answers) -> Comparison:
    """Compares two recipes, picture by picture.

    Question 2 is Student's pooled t over seeds, unpaired, since networks of different recipes share
    nothing but a seed's number. Question 3 adds to its error what drawing other pictures would
    change, from the differences within pictures (`stats.intervals.picture_error`).

    Raises:
        ValueError: if they were not asked the same questions.
    """
    _require_same_pictures(first, second)
    seeds = difference_of(second.accuracies, first.accuracies)
    everywhere = widened(seeds, *picture_error(second.correct, first.correct))
    sd = spread_of(first.accuracies).pooled(spread_of(second.accuracies)).sd
    counts = len(first.seeds), len(second.seeds)
    return Comparison(
        first,
        second,
        _networks(first, second),
        _votes(first, second),
        _difference(seeds),
        _difference(everywhere),
        smallest_difference(sd, *counts, LEVEL / 2, POWER),
        tuple(_differing(first, second)),
    )


def _require_same_pictures(first: Answers, second: Answers) -> None:
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


def _networks(first: Answers, second: Answers) -> tuple[Networks, ...]:
    common = [seed for seed in first.seeds if seed in second.seeds]
    tests = [
        mcnemar(first.correct[first.seeds.index(seed)], second.correct[second.seeds.index(seed)])
        for seed in common
    ]
    adjusted = holm([test.p_value for test in tests])
    return tuple(map(Networks, common, tests, adjusted))


def _votes(first: Answers, second: Answers) -> tuple[Vote, ...]:
    before, after = first.majority(), second.majority()
    return tuple(
        Vote(first.pictures[at], int(first.truth[at]), int(before[at]), int(after[at]))
        for at in np.flatnonzero(before != after)
    )


def _difference(estimate: Estimate) -> Difference:
    one_sided = min(estimate.p_above(0.0), estimate.p_below(0.0))
    return Difference(estimate, min(1.0, 2 * one_sided))


def _differing(first: Answers, second: Answers) -> Sequence[str]:
    names = dict.fromkeys((*first.conditions, *second.conditions))
    pairs = ((name, first.conditions.get(name), second.conditions.get(name)) for name in names)
    return [f"{name}: {one} and {other}" for name, one, other in pairs if one != other]
