"""Options of commands come from the one definition that pytest's come from."""

import argparse
from pathlib import Path

import pytest

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.session.options import Options

NAMES = ("seeds", "image_size", "data")


def parsed(*arguments: str, **defaults: str) -> Options:
    parser = argparse.ArgumentParser()
    add_flags(parser, NAMES, **defaults)
    return options_of(parser.parse_args(arguments), NAMES)


def test_what_is_given_goes_before_a_commands_default_and_that_before_the_option_s():
    given = parsed("--seeds", "7-7", "--data", "x", "--image-size", "16", seeds="0,1")
    assert given == Options(seeds=(7,), data=Path("x"), image_size=16)
    assert parsed(seeds="1-2") == Options(seeds=(1, 2))
    assert parsed() == Options()


def test_all_bad_values_are_reported_at_once():
    with pytest.raises(ValueError, match=r"(?s)seeds: expected.*'x'.*image-size: expected.*'7'"):
        parsed("--seeds", "x", "--image-size", "7")
