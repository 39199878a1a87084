"""Step times of an earlier session, kept in a file, and how far they can be trusted.

Another session is another machine in all but name: clocks, neighbours and memory differ. A
reference workload measured in the same rounds takes out what hits both alike. What is left is
not known, so a comparison with a stored record informs and does not fail on its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnbench.ab.child import REFERENCE_SIDE
from cnnbench.ab.pairs import Alone
from cnnbench.ab.sides import Side
from cnnbench.ab.verdict import Rule, Verdict
from cnnbench.stats.intervals import Estimate, difference_of, spread_of

VERSION = 1
REFERENCE = f"NumPy float32 product of {REFERENCE_SIDE} x {REFERENCE_SIDE} on one thread"
_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
}


@dataclass(frozen=True)
class Stored:
    """A side's step times with what they were measured on."""

    identity: dict[str, Any]
    side: dict[str, Any]
    started: str
    commit: str | None
    alone: tuple[Alone, ...]


def identity_of(
    environment: Mapping[str, Any],
    side: Side,
    workload: str,
    device: str,
    input_shape: Sequence[int],
    classes: int,
) -> dict[str, Any]:
    """Returns what must agree for seconds to mean the same, as a flat mapping.

    Args:
        environment: of `environment.describe`.
        side: what is measured; its code may differ, that is what is compared.
        workload: `train` or `inference`.
        device: `cpu` or `gpu`.
        input_shape: of a picture; which pictures they are makes no difference.
        classes: number of classes.
    """
    packages = environment["packages"]
    relevant = ("keras", "numpy", *_PACKAGES[side.backend])
    return {
        **{f"machine {name}": value for name, value in environment["machine"].items()},
        "python": environment["python"],
        **{f"package {name}": packages[name] for name in relevant if name in packages},
        "flags": dict(environment["flags"]),
        "backend": side.backend,
        "device": device,
        "threads": side.threads,
        "batch size": side.batch_size,
        "workload": workload,
        "fingerprint": side.variant.fingerprint(),
        "input shape": list(input_shape),
        "classes": classes,
        "reference": REFERENCE,
    }


def differing(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a line for each field of the identity that differs."""
    return tuple(
        f"{name}: {then.get(name)!r} then, {now.get(name)!r} now"
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    )


def save(path: Path, stored: Stored) -> None:
    """Writes a stored record, whole or not at all."""
    content = {"cnnbench_stored": VERSION, **asdict(stored)}
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def load(path: Path) -> Stored:
    """Reads what `save` wrote.

    Raises:
        ValueError: if the file is no stored record of this version; names file and reason.
        OSError: if it can't be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("cnnbench_stored") != VERSION:
            raise ValueError("another version")
        alone = tuple(Alone(**_tuples(each)) for each in content.pop("alone"))
        stored = Stored(**content, alone=alone)
        if not alone or not all(each.seconds and each.seconds_reference for each in alone):
            raise ValueError("no seconds in it")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"Not a file that `cnnbench ab --store` of this version ({VERSION}) wrote: {error}. "
            f"Received: file={str(path)!r}"
        ) from error
    return stored


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}


@dataclass(frozen=True)
class Change:
    """HEAD now against a stored record, in logarithms of seconds a picture.

    `raw` compares seconds, `normalized` seconds over the reference's; `sd_raw` and
    `sd_normalized` are the spreads of one process, pooled over both sessions.
    """

    raw: Estimate
    normalized: Estimate
    sd_raw: float
    sd_normalized: float
    now: int
    then: int


def compare(now: Sequence[Alone], then: Sequence[Alone]) -> Change:
    """Compares two sessions; a process is the unit."""

    def logs(alone: Sequence[Alone], normalized: bool) -> list[float]:
        return [each.log_seconds - normalized * each.log_reference for each in alone]

    def sd(normalized: bool) -> float:
        return spread_of(logs(now, normalized)).pooled(spread_of(logs(then, normalized))).sd

    return Change(
        raw=difference_of(logs(now, False), logs(then, False)),
        normalized=difference_of(logs(now, True), logs(then, True)),
        sd_raw=sd(False),
        sd_normalized=sd(True),
        now=len(now),
        then=len(then),
    )


def verdict_of(change: Change, rule: Rule) -> Verdict:
    """Returns the verdict over the normalized difference, by the rule's rates in one look."""
    found = change.normalized
    if (
        found.p_below(rule.log_effect) <= rule.beta
        and found.interval(rule.level).half_width <= rule.log_effect
    ):
        return "pass"
    if found.p_above(0.0) <= rule.alpha and found.value >= rule.log_effect:
        return "fail"
    return "inconclusive"


def in_words(change: Change, rule: Rule, differing: Sequence[str] = ()) -> str:
    """Returns the comparison in one paragraph, with what is not the same as then."""

    def line(estimate: Estimate) -> str:
        interval = estimate.interval(rule.level)
        if math.isinf(interval.low):
            return f"{math.expm1(estimate.value):+.1%} (interval unknown from so few processes)"
        low, high = math.expm1(interval.low), math.expm1(interval.high)
        around = f"{rule.level:.0%} interval {low:+.1%} to {high:+.1%}"
        return f"{math.expm1(estimate.value):+.1%} ({around})"

    gain = "unknown"
    if change.sd_raw > 0:
        gain = f"{change.sd_normalized / change.sd_raw:.2f} times"
    text = (
        f"Against the stored record HEAD's time a picture is {line(change.raw)} raw and "
        f"{line(change.normalized)} normalized by the reference ({REFERENCE}). "
        f"{change.now} processes now, {change.then} then; spread of one process "
        f"{change.sd_raw:.1%} raw, {change.sd_normalized:.1%} normalized ({gain})."
    )
    if differing:
        text += f" Not the same as then: {'; '.join(differing)}."
    return text
