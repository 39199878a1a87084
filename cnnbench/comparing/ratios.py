"""Speeds of reports side by side: rows in, ratios with intervals out, pure.

The unit is the process: rounds of one process share its memory layout, its compilation and the
machine's mood, so they say how steady a process was and not how the next one will be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cnnbench.comparing.speeds import KEY, LIFTABLE, Source, Speed
from cnnbench.machine.backends import kind_of
from cnnbench.stats.intervals import Estimate, Interval, mean_of, widened

# The median of a normal sample has this many times the error of its mean: sqrt(pi / 2).
MEDIAN_ERROR = math.sqrt(math.pi / 2)

# What an interval rests on; `none` where there is none.
Basis = Literal["processes", "rounds", "none"]


@dataclass(frozen=True)
class Ratio:
    """One row of two reports. `change` is the later's log seconds less the first's.

    It is `None` where a side has no time. `differing` has a line for each condition of the row
    that is not the same, `problems` one for each side's problem.
    """

    first: Speed
    later: Speed
    change: Estimate | None
    basis: Basis
    differing: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def value(self) -> float:
        """The later's pictures a second over the first's."""
        return math.exp(-self.change.value) if self.change else math.nan

    def interval(self) -> Interval:
        """Returns the interval of `value`; from 0 to infinity where nothing is known."""
        return _of_speed(self.change.interval()) if self.change else Interval(0.0, math.inf)


@dataclass(frozen=True)
class GeometricMean:
    """The geometric mean of the ratios of `rows` rows; `change` as in `Ratio`."""

    rows: int
    change: Estimate
    basis: Basis

    @property
    def value(self) -> float:
        return math.exp(-self.change.value)

    def interval(self) -> Interval:
        return _of_speed(self.change.interval())


@dataclass(frozen=True)
class Comparison:
    """A later report against the first.

    `unmatched` says of each row of the first that has no partner why, `extra` names the later's.
    """

    first: Source
    later: Source
    ratios: tuple[Ratio, ...]
    mean: GeometricMean | None
    differing: tuple[str, ...]
    unmatched: tuple[str, ...]
    extra: tuple[str, ...]


def compare_sources(first: Source, later: Source, across: Sequence[str] = ()) -> Comparison:
    """Compares two reports, row by row.

    Rows are partners if variant, workload, backend, kind of device, dtype, batch size and the
    variant's fingerprint are the same. Columns in `across` may differ; every row of the one
    report is then compared with every partner in the other. Within one report (`first` is
    `later`) the first row of each group is compared with the others.

    Args:
        first: what is compared with.
        later: what is compared.
        across: columns of `LIFTABLE`.

    Raises:
        ValueError: if `across` names another column.
    """
    unknown = [name for name in across if name not in LIFTABLE]
    if unknown:
        raise ValueError(
            f"Expected columns among {', '.join(LIFTABLE)}. Received: across={','.join(across)!r}"
        )
    pairs = list(_within(first, across) if first is later else _partners(first, later, across))
    ratios = tuple(_ratio(*pair) for pair in pairs)
    matched = {id(speed) for pair in pairs for speed in pair}
    alone = [speed for speed in first.speeds if id(speed) not in matched]
    extra = [speed for speed in later.speeds if id(speed) not in matched]
    return Comparison(
        first,
        later,
        ratios,
        geometric_mean(ratios),
        _differing(first.conditions, later.conditions),
        () if first is later else tuple(_why_alone(speed, later, across) for speed in alone),
        () if first is later else tuple(speed.words() for speed in extra),
    )


def _key(speed: Speed, across: Sequence[str]) -> tuple[object, ...]:
    values = {name: getattr(speed, name) for name in KEY if name not in across}
    if "device" in values:
        values["device"] = kind_of(speed.device)
    return tuple(values.values())


def _same_network(one: Speed, other: Speed, across: Sequence[str]) -> bool:
    return "variant" in across or one.fingerprint == other.fingerprint


def _partners(first: Source, later: Source, across: Sequence[str]) -> Iterator[tuple[Speed, Speed]]:
    for speed in first.speeds:
        found = [
            other
            for other in later.speeds
            if _key(other, across) == _key(speed, across) and _same_network(speed, other, across)
        ]
        if "device" not in across:
            # gpu:1 belongs to gpu:1 where there is one, else to any.
            found = [other for other in found if other.device == speed.device] or found
        yield from ((speed, other) for other in found)


def _within(source: Source, across: Sequence[str]) -> Iterator[tuple[Speed, Speed]]:
    groups: dict[tuple[object, ...], list[Speed]] = {}
    for speed in source.speeds:
        groups.setdefault(_key(speed, across), []).append(speed)
    for head, *others in groups.values():
        yield from ((head, other) for other in others if _same_network(head, other, across))


def _why_alone(speed: Speed, later: Source, across: Sequence[str]) -> str:
    if any(_key(other, across) == _key(speed, across) for other in later.speeds):
        return f"{speed.words()}: another network (fingerprint) under the same name"
    for name in ("dtype", "batch_size", "device", "backend"):
        found = [
            one
            for one in later.speeds
            if _key(one, (*across, name)) == _key(speed, (*across, name))
        ]
        if found and name not in across:
            others = ", ".join(dict.fromkeys(str(getattr(one, name)) for one in found))
            return f"{speed.words()}: only with {name} {others}"
    return f"{speed.words()}: not in {later.label}"


def _estimate(speed: Speed) -> tuple[Estimate, Basis]:
    if len(speed.processes) > 1:
        return mean_of([each.log_seconds for each in speed.processes]), "processes"
    (only,) = speed.processes
    if only.rounds < 2 or math.isnan(only.round_sd):
        return Estimate(only.log_seconds, math.nan, 0.0), "none"
    error = MEDIAN_ERROR * only.round_sd / math.sqrt(only.rounds)
    return Estimate(only.log_seconds, error, only.rounds - 1), "rounds"


def _difference(first: Estimate, later: Estimate) -> Estimate:
    """Returns later less first with both errors: Welch's, each with its own variance."""
    change = Estimate(later.value - first.value, later.error, later.df)
    if math.isnan(later.error):
        return change
    return widened(change, first.error**2, first.df)


def _ratio(first: Speed, later: Speed) -> Ratio:
    problems = tuple(
        f"{problem} ({side})"
        for side, speed in (("first", first), ("later", later))
        for problem in speed.problems
    )
    conditions = [dict(speed.conditions) for speed in (first, later)]
    if first.variant == later.variant:
        for own, speed in zip(conditions, (first, later), strict=True):
            own["fingerprint"] = speed.fingerprint
    differing = _differing(*conditions)
    if not first.processes or not later.processes:
        return Ratio(first, later, None, "none", differing, problems)
    (before, one), (after, other) = _estimate(first), _estimate(later)
    change = _difference(before, after)
    return Ratio(first, later, change, _weakest((one, other)), differing, problems)


def _weakest(bases: Sequence[Basis]) -> Basis:
    order: tuple[Basis, ...] = ("none", "rounds", "processes")
    return min(bases, key=order.index)


def geometric_mean(ratios: Sequence[Ratio]) -> GeometricMean | None:
    """Returns the geometric mean of the ratios without problems; `None` where there is none.

    Rows that the same processes measured rise and fall together, so the rows are averaged within
    each process first. Where rows do not share their processes, the error is the mean of the rows'
    errors: at most that large, however they depend on each other.
    """
    usable = [one for one in ratios if one.change is not None and not one.problems]
    if not usable:
        return None
    basis = _weakest([one.basis for one in usable])
    sides = [[one.first for one in usable], [one.later for one in usable]]
    means = [_mean_by_process(side) for side in sides]
    if basis == "processes" and means[0] is not None and means[1] is not None:
        return GeometricMean(len(usable), _difference(means[0], means[1]), basis)
    changes = [one.change for one in usable if one.change is not None]
    value, error = (
        sum(values) / len(values)
        for values in ([each.value for each in changes], [each.error for each in changes])
    )
    df = min(each.df for each in changes)
    return GeometricMean(len(usable), Estimate(value, error, df), basis)


def _mean_by_process(speeds: Sequence[Speed]) -> Estimate | None:
    numbers = {tuple(each.number for each in speed.processes) for speed in speeds}
    if len(numbers) > 1:
        return None
    columns = zip(*(speed.processes for speed in speeds), strict=True)
    return mean_of([sum(each.log_seconds for each in one) / len(speeds) for one in columns])


def _of_speed(interval: Interval) -> Interval:
    return Interval(_exp(-interval.high), _exp(-interval.low))


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{name}: {one.get(name) or '?'} and {other.get(name) or '?'}"
        for name in dict.fromkeys((*one, *other))
        if (one.get(name) or "") != (other.get(name) or "")
    )
