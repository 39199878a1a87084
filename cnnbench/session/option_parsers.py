"""What the text of an option may be. Each function says in its error what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from cnnbench.machine.backends import BACKENDS, DTYPES, check_device
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.training.protocols import protocol_named

SWEEP = "sweep"


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def distinct(values: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = tuple(values)
    if not found:
        raise ValueError(f"expected at least one {what}")
    if len(set(found)) != len(found):
        raise ValueError(f"each {what} once")
    return found


def variants(text: str) -> tuple[Variant, ...]:
    names = list(VARIANTS) if text.strip() == "all" else words(text)
    return distinct(map(variant_named, names), "variant")


def integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ValueError(f"expected a whole number of at least {least}")
    return value


def at_least(least: int) -> Callable[[str], int]:
    return lambda text: integer(text, least)


def seeds(text: str) -> tuple[int, ...]:
    if text.strip().isdecimal() and (count := int(text)) > 0:
        raise ValueError(
            f"a lone number is ambiguous; write 0-{count - 1} for a count of {count}, or "
            f"{count}-{count} for seed {count}"
        )
    seeds: list[int] = []
    for word in words(text):
        first, dash, last = word.partition("-")
        low = integer(first, 0)
        seeds += range(low, integer(last, low) + 1) if dash else [low]
    return distinct(seeds, "seed")


def batch_sizes(text: str) -> tuple[int | str, ...]:
    if text.strip() == SWEEP:
        return (SWEEP,)
    try:
        return distinct((integer(word, 1) for word in words(text)), "batch size")
    except ValueError as error:
        raise ValueError(f"{error}, or {SWEEP}") from None


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    valid = tuple(names)

    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"expected one of {', '.join(valid)}")
        return text

    return parse


def named(text: str, valid: Iterable[str], what: str) -> tuple[str, ...]:
    parse = one_of(valid)
    return distinct((parse(word) for word in words(text)), what)


def backends(text: str) -> tuple[str, ...]:
    return _or_auto(named(text, ("auto", *BACKENDS), "backend"), "backends")


def dtypes(text: str) -> tuple[str, ...]:
    return named(text, DTYPES, "dtype")


def devices(text: str) -> tuple[str, ...]:
    names = distinct(words(text), "device")
    for name in names:
        if name != "auto":
            check_device(name)
    return _or_auto(names, "devices")


def _or_auto(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    if "auto" in names and len(names) > 1:
        raise ValueError(f"expected either auto or names of {what}")
    return names


def fraction(text: str) -> float:
    body, percent, rest = text.strip().partition("%")
    expected = "a number between 0 and 1, such as 0.05 or 5%"
    if rest:
        raise ValueError(f"expected {expected}")
    return _below(body, 100.0, expected) / 100 if percent else _below(body, 1.0, expected)


def rate(text: str) -> float:
    return _below(text, 0.5, "a number between 0 and 0.5")


def seconds(text: str) -> float:
    return _below(text, math.inf, "seconds, more than 0")


def _below(text: str, high: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < high:
        raise ValueError(f"expected {expected}")
    return value


def protocol(text: str) -> str:
    return protocol_named(text).name
