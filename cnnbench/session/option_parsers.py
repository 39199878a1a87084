"""What the text of an option may be. Each function says in its error what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from cnnbench.machine.backends import BACKENDS, DTYPES, check_device
from cnnbench.models.variants import VARIANTS, Variant, variant_named
from cnnbench.training.protocols import protocol_named

SWEEP = "sweep"
Parser = Callable[[str], Any]


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    valid = tuple(names)

    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"expected one of {', '.join(valid)}")
        return text

    return parse


def at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return value

    return parse


def several(parse: Parser, what: str, alone: str = "") -> Callable[[str], tuple[Any, ...]]:
    """Returns the parser of a list of distinct values, or of one word instead of them all."""

    def parse_all(text: str) -> tuple[Any, ...]:
        if alone and text.strip() == alone:
            return (alone,)
        try:
            return _distinct(map(parse, words(text)), what)
        except ValueError as error:
            raise ValueError(f"{error}, or {alone}" if alone else str(error)) from None

    return parse_all


def _distinct(values: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = tuple(values)
    if not found:
        raise ValueError(f"expected at least one {what}")
    if len(set(found)) != len(found):
        raise ValueError(f"each {what} once")
    return found


def _device(text: str) -> str:
    check_device(text)
    return text


backends = several(one_of(BACKENDS), "backend", alone="auto")
devices = several(_device, "device", alone="auto")
dtypes = several(one_of(DTYPES), "dtype")
batch_sizes = several(at_least(1), "batch size", alone=SWEEP)


def variants(text: str) -> tuple[Variant, ...]:
    if text.strip() == "all":
        return tuple(VARIANTS.values())
    return several(variant_named, "variant")(text)


def seeds(text: str) -> tuple[int, ...]:
    if text.strip().isdecimal() and (count := int(text)) > 0:
        raise ValueError(
            f"a lone number is ambiguous; write 0-{count - 1} for a count of {count}, or "
            f"{count}-{count} for seed {count}"
        )
    found: list[int] = []
    for word in words(text):
        first, dash, last = word.partition("-")
        low = at_least(0)(first)
        found += range(low, at_least(low)(last) + 1) if dash else [low]
    return _distinct(found, "seed")


def protocol(text: str) -> str:
    return protocol_named(text).name


def fraction(text: str) -> float:
    return _share(text, 1.0)


def rate(text: str) -> float:
    return _share(text, 0.5)


def seconds(text: str) -> float:
    return _number(text, math.inf, "seconds, more than 0")


def _share(text: str, high: float) -> float:
    expected = f"a number between 0 and {high:g}, such as 0.05 or 5%"
    body = text.strip()
    if body.endswith("%"):
        return _number(body[:-1], 100 * high, expected) / 100
    return _number(body, high, expected)


def _number(text: str, high: float, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < high:
        raise ValueError(f"expected {expected}")
    return value
