"""Options of commands come from the one definition that pytest's come from."""

import argparse
from pathlib import Path

import pytest

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.session.options import Options

NAMES = ("seeds", "image_size", "data")


@pytest.fixture
def parsed():
    def parse(*arguments: str):
        parser = argparse.ArgumentParser()
        add_flags(parser, NAMES)
        return parser.parse_args(arguments)

    return parse


def test_what_is_given_goes_before_a_commands_default_and_that_before_the_option_s(parsed):
    found = options_of(
        parsed("--seeds", "7-7", "--data", "x"), NAMES, {"seeds": "0", "epochs": "3"}
    )
    assert found == Options(seeds=(7,), epochs=3, data=Path("x"))
    assert options_of(parsed(), NAMES, {"seeds": "1-2"}).seeds == (1, 2)
    assert options_of(parsed(), NAMES) == Options()


def test_a_flag_has_dashes(parsed):
    assert options_of(parsed("--image-size", "16"), NAMES).image_size == 16


def test_all_bad_values_are_told_at_once(parsed):
    with pytest.raises(ValueError, match=r"(?s)seeds: expected.*'x'.*image-size: expected.*'7'"):
        options_of(parsed("--seeds", "x", "--image-size", "7"), NAMES)
