"""Options of the command line, from the one definition that pytest's options come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping

from cnnbench.machine.backends import TRAINING_BACKENDS
from cnnbench.session.option_table import Option
from cnnbench.session.options import OPTIONS, Options, options_from

BACKEND_HELP = "Keras backend: tensorflow (default), jax or torch"


def add_flags(
    parser: argparse.ArgumentParser,
    names: Iterable[str],
    options: Mapping[str, Option] = OPTIONS,
) -> None:
    """Adds `--<stem>` for each option; of backends a command has one: `--backend`."""
    for name in names:
        option = options[name]
        if name == "backends":
            parser.add_argument("--backend", dest=name, metavar="NAME", help=BACKEND_HELP)
            continue
        parser.add_argument(f"--{option.stem}", metavar=option.metavar, help=option.help)


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
    backend = given.get("backends")
    if backend and backend not in TRAINING_BACKENDS:
        raise ValueError(
            f"--backend: expected one of {', '.join(TRAINING_BACKENDS)}. Received: {backend!r}"
        )
    return options_from({**(defaults or {}), **{name: v for name, v in given.items() if v}})
