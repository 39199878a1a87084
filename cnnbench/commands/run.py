"""Run the suites: train, check and time models.

Arguments after -- go to pytest, for example: cnnbench run -- -k accuracy -x
"""

from __future__ import annotations

import argparse

from cnnbench.session.options import OPTIONS


def add_to(parser: argparse.ArgumentParser) -> None:
    for option in OPTIONS.values():
        parser.add_argument(
            f"--{option.stem}", dest=option.field, metavar=option.metavar, help=option.help
        )
    parser.add_argument("pytest", nargs="*", metavar="-- ARGUMENT", help="for pytest")


def run(parsed: argparse.Namespace) -> int:
    import pytest

    arguments = ["--pyargs", "cnnbench.suites", "--benchmark-only"]
    # This process has imported cnnbench, and no assert of it is to be rewritten.
    arguments.append("-Wignore::pytest.PytestAssertRewriteWarning")
    for name, option in OPTIONS.items():
        if (text := getattr(parsed, name)) is not None:
            arguments.append(f"{option.flag}={text}")
    return int(pytest.main([*arguments, *parsed.pytest]))
