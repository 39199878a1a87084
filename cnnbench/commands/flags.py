"""Options of the command line, from the one definition that pytest's options come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from cnnbench.options import OPTIONS, Options, options_from


def add_flags(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Adds `--<stem>` for each option."""
    for name in names:
        option = OPTIONS[name]
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, metavar=option.metavar, help=option.help)


def options_of(
    parsed: argparse.Namespace, names: Iterable[str], defaults: Mapping[str, str] | None = None
) -> Options:
    """Returns the options of a command.

    Args:
        parsed: what was given.
        names: options that the command has.
        defaults: texts of those that have another default here.

    Raises:
        ValueError: names every bad value at once.
    """
    given = {name: getattr(parsed, name) for name in names}
    return options_from({**(defaults or {}), **{name: v for name, v in given.items() if v}})
