"""Options as fields of a frozen dataclass: one definition for pytest, ini files and commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from cnnbench.session.option_parsers import Parser

PREFIX = "--cnnbench-"  # of pytest's flags


@dataclass(frozen=True)
class Option:
    """One option; `field` is its stem everywhere.

    Its flag is `--cnnbench-<stem>` in pytest and `--<stem>` on the command line, with
    dashes for underscores, its ini name `cnnbench_<field>`.
    """

    field: str
    parse: Parser
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        return f"{PREFIX}{self.stem}"

    @property
    def stem(self) -> str:
        return self.field.replace("_", "-")

    @property
    def ini(self) -> str:
        return f"cnnbench_{self.field}"

    def value(self, text: str, name: str) -> Any:
        """Parses a value.

        Raises:
            ValueError: if the value is bad; has the name, what was expected and the value.
        """
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}. Received: {text!r}") from error


def option(parse: Parser, metavar: str, help: str) -> Option:
    """Returns what makes an annotated field of a dataclass an option, see `options_in`."""
    return Option("", parse, metavar, help)


def options_in(settings: type[Any]) -> dict[str, Option]:
    """Returns the options that annotate a dataclass' fields; their help states the default."""
    hints, found = get_type_hints(settings, include_extras=True), {}
    for one in fields(settings):
        (option,) = hints[one.name].__metadata__
        help, default = option.help, one.default
        if default is not None and "default" not in help:
            values = default if isinstance(default, tuple) else (default,)
            help += f"; default: {','.join(str(getattr(each, 'name', each)) for each in values)}"
        found[one.name] = replace(option, field=one.name, help=help)
    return found


def parse_all(
    options: Mapping[str, Option], texts: Mapping[str, str], prefix: str = PREFIX
) -> dict[str, Any]:
    """Parses texts by the field of their option; `prefix` is that of its name in an error.

    Raises:
        ValueError: names every bad value at once.
    """
    values, problems = {}, []
    for name, text in texts.items():
        try:
            values[name] = options[name].value(text, f"{prefix}{options[name].stem}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return values
