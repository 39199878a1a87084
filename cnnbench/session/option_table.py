"""Options as fields of a frozen dataclass: one definition for pytest, ini files and commands.

A parser takes the text of an option and says in its error what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PREFIX = "--cnnbench-"  # of pytest's flags
Parser = Callable[[str], Any]


@dataclass(frozen=True)
class Option:
    """One option; `field` is its stem everywhere, with dashes for underscores in flags."""

    field: str
    parse: Parser
    metavar: str
    help: str

    @property
    def stem(self) -> str:
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        return f"{PREFIX}{self.stem}"

    @property
    def ini(self) -> str:
        return f"cnnbench_{self.field}"

    def value(self, text: str, name: str) -> Any:
        """Parses a value; the error has the name, what was expected and the value."""
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}. Received: {text!r}") from error


def option(default: Any, parse: Parser, metavar: str, help: str) -> Any:
    """Returns a field of a dataclass that is an option; its help states the default."""
    if default is not None and "default" not in help:
        values = default if isinstance(default, tuple) else (default,)
        help += f"; default: {','.join(str(getattr(each, 'name', each)) for each in values)}"
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": help})


def options_in(settings: type[Any]) -> dict[str, Option]:
    """Returns the options of a dataclass by the names of their fields."""
    return {one.name: Option(one.name, **one.metadata) for one in fields(settings)}


def parse_all(
    options: Mapping[str, Option], texts: Mapping[str, str], prefix: str = PREFIX
) -> dict[str, Any]:
    """Parses texts by the field of their option; one error names every bad value."""
    values, problems = {}, []
    for name, text in texts.items():
        try:
            values[name] = options[name].value(text, f"{prefix}{options[name].stem}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return values


# Parsers


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


def below(high: float, expected: str) -> Callable[[str], float]:
    """Returns the parser of a number between 0 and another one, both excluded."""

    def parse(text: str) -> float:
        text, is_percent = text.strip(), high <= 1 and text.endswith("%")
        try:
            value = float(text[:-1]) / 100 if is_percent else float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < high:
            raise ValueError(f"expected {expected}")
        return value

    return parse


fraction = below(1.0, "a number between 0 and 1, such as 0.05 or 5%")
rate = below(0.5, "a number between 0 and 0.5, such as 0.05 or 5%")
seconds = below(math.inf, "seconds, more than 0")


def several(parse: Parser, what: str, alone: str = "") -> Callable[[str], tuple[Any, ...]]:
    """Returns the parser of a list of distinct values, or of one word instead of them all."""

    def parse_list(text: str) -> tuple[Any, ...]:
        if alone and text.strip() == alone:
            return (alone,)
        try:
            return distinct(map(parse, words(text)), what)
        except ValueError as error:
            raise ValueError(f"{error}, or {alone}" if alone else str(error)) from None

    return parse_list


def distinct(values: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = tuple(values)
    if not found:
        raise ValueError(f"expected at least one {what}")
    if len(set(found)) != len(found):
        raise ValueError(f"each {what} once")
    return found
