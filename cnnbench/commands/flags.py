"""What commands share: options, from the one definition that pytest's come from, and exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from cnnbench.machine.backends import TRAINING_BACKENDS, require_backends
from cnnbench.session.options import OPTIONS, Option, Options, options_from

DATA = ("data", "split_seed", "validation_fraction", "image_size", "cache_dir", "backends")
TRAINING = (*DATA, "epochs", "protocol", "steps_per_epoch", "validation_steps")
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 10}

say = partial(print, flush=True)


def add_flags(
    parser: argparse.ArgumentParser,
    names: Iterable[str],
    options: Mapping[str, Option] = OPTIONS,
    **defaults: str,
) -> None:
    """Adds `--<stem>` for each option; of backends a command has one: `--backend`.

    `defaults` has texts of options whose default is another one in this command.
    """
    for name in names:
        option, default = options[name], defaults.get(name)
        flag, metavar, help = option.stem, option.metavar, option.help
        if name == "backends":
            flag, metavar, help = "backend", "NAME", "tensorflow (default), jax or torch"
        if default:
            help = f"{help.partition('; default')[0]}; default: {default}"
        parser.add_argument(f"--{flag}", dest=name, metavar=metavar, help=help, default=default)


def options_of(parsed: argparse.Namespace, names: Iterable[str]) -> Options:
    """Returns a command's options.

    Raises:
        ValueError: names every bad value at once.
    """
    given = {name: text for name in names if (text := getattr(parsed, name))}
    backend = given.get("backends", "tensorflow")
    if backend not in TRAINING_BACKENDS:
        raise ValueError(
            f"--backend: expected one of {', '.join(TRAINING_BACKENDS)}. Received: {backend!r}"
        )
    options = options_from(given)
    require_backends(options.backends)
    return options


def in_the_way(*paths: Path | None, replace: bool) -> list[str]:
    """Returns a line for each file that would be overwritten although nobody asked for it."""
    return [
        f"{path}: the file exists; name another one, or give --replace"
        for path in paths
        if path is not None and path.exists() and not replace
    ]
