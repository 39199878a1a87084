"""What the networks of a report answered to the held-out pictures, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from cnnbench.report.frames import Report

NONE = -1  # an answer that is no number, or the majority of votes that are tied
CONDITIONS = (
    "fingerprint",
    "protocol",
    "epochs",
    "steps_per_epoch",
    "backend",
    "device",
    "dtype",
    "batch_size",
    "threads",
)


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
