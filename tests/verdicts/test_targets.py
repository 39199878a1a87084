import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from cnnbench import checks
from cnnbench.verdicts.targets import DEFAULTS, PROPERTIES, STATED, Targets, read_targets, stated_in

FILE = """
[default]
generalization_gap = 0.2
memorization = 0.4

[default.wide]
generalization_gap = 0.3
initial_loss = 0.6

[pets]
accuracy = 0.7
generalization_gap = 0.05

[pets.wide]
accuracy = 0.75

[pets."package.module:build"]
accuracy = 1
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "targets.toml"


@pytest.mark.parametrize(
    ("name", "data", "variant", "expected"),
    [
        ("accuracy", "pets", "wide", 0.75),  # [data.variant]
        ("accuracy", "pets", "documented", 0.7),  # [data]
        ("generalization_gap", "pets", "wide", 0.05),  # [data] before [default.variant]
        ("initial_loss", "pets", "wide", 0.6),  # [default.variant]
        ("generalization_gap", "drawn", "wide", 0.3),  # [default.variant] before [default]
        ("memorization", "pets", "wide", 0.4),  # [default]
        ("shuffled_labels", "pets", "wide", 0.10),  # nobody says anything else
        ("accuracy", "pets", "package.module:build", 1.0),
    ],
)
def test_the_special_goes_before_the_general(path, name, data, variant, expected):
    path.write_text(FILE)
    assert read_targets(path).get(name, data, variant) == expected


def test_without_a_file_the_defaults_hold():
    found = {name: Targets().get(name, "pets", "documented") for name in PROPERTIES}
    assert found == {**dict.fromkeys(STATED), **DEFAULTS}


def test_an_empty_file_states_nothing_and_an_absent_one_is_named(path):
    message = re.escape(f"No such targets file. Received: targets='{path}'")
    with pytest.raises(FileNotFoundError, match=message):
        read_targets(path)
    path.touch()
    assert read_targets(path) == Targets()


UNKNOWN = "unknown, expected one of accuracy, "


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"[pets", "is no TOML: "),
        (b"name = '\xff'", "is no TOML: "),
        (b"[pets]\naccuray = 1", rf"1 problem\(s\):\n  \[pets\] accuray: {UNKNOWN}"),
        (b"[pets.wide]\ngap = 1", rf"\[pets.wide\] gap: {UNKNOWN}"),
        (b"[pets.wide.deep]\naccuracy = 1", rf"\[pets.wide\] deep: {UNKNOWN}"),
        (b"[pets]\naccuracy = 'high'", r"\[pets\] accuracy: expected a number, received 'high'"),
        (b"[pets]\naccuracy = nan", r"\[pets\] accuracy: expected a number, received nan"),
        (b"accuracy = 0.5", r"accuracy: expected a table such as \[drawn\]"),
        (
            b"gap = 1\n[pets]\naccuray = 1\n[pets.wide]\naccuracy = 'high'\ninitial_loss = 0.5",
            r"3 problem\(s\):\n  gap: .*\n  \[pets\] accuray: .*\n  \[pets.wide\] accuracy: ",
        ),
    ],
)
def test_bad_targets_are_named_all_at_once(path, content, problems):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?s)^{re.escape(str(path))} .*{problems}"):
        read_targets(path)


def test_what_a_marker_states_goes_before_every_file(path):
    path.write_text(FILE)
    stated = stated_in({"accuracy": 0.9, "initial_loss": 1, "seeds": [0, 1], "variants": "wide"})
    assert stated == {"accuracy": 0.9, "initial_loss": 1.0}
    targets = replace(read_targets(path), stated=stated)
    assert targets.get("accuracy", "pets", "wide") == 0.9
    assert targets.get("generalization_gap", "pets", "wide") == 0.05


@pytest.mark.parametrize("value", ["high", True, None, float("nan"), {"wide": 0.5}])
def test_what_a_marker_states_is_a_number(value):
    message = r"\[@pytest.mark.cnnbench\] accuracy: expected a number, received"
    with pytest.raises(ValueError, match=message):
        stated_in({"accuracy": value})


def test_a_threshold_and_a_check_have_the_name_of_their_test():
    suites = Path(__file__).parents[2] / "suites"
    text = "".join(path.read_text() for path in suites.glob("test_*.py"))
    tests = set(re.findall(r"def test_(\w+)", text))
    assert {*DEFAULTS, *(name.removeprefix("check_") for name in checks.__all__)} <= tests
    assert tomllib.loads((suites / "targets.toml").read_text())["default"] == DEFAULTS
