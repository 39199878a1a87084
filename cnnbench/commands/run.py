"""`cnnbench run`: the installed suites, for people who don't know pytest."""

from __future__ import annotations

import argparse
from typing import Any

from cnnbench.session.options import OPTIONS


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "run",
        help="run the suites: train, check and time models",
        epilog="Arguments after -- go to pytest, for example: cnnbench run -- -k accuracy -x",
    )
    for option in OPTIONS.values():
        parser.add_argument(
            f"--{option.stem}", dest=option.field, metavar=option.metavar, help=option.help
        )
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="for pytest")
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns pytest's exit code."""
    import pytest

    given = {name: getattr(parsed, name) for name in OPTIONS}
    flags = [f"{OPTIONS[name].flag}={text}" for name, text in given.items() if text is not None]
    return int(
        pytest.main(
            [
                "--pyargs",
                "cnnbench.suites",
                "--benchmark-only",
                # This process has imported cnnbench, and no assert of it is to be rewritten.
                "-Wignore::pytest.PytestAssertRewriteWarning",
                *flags,
                *parsed.pytest,
            ]
        )
    )
