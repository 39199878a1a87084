import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from cnnbench.verdicts.checks import pictures as data_checks
from cnnbench.verdicts.checks import speed as speed_checks
from cnnbench.verdicts.checks import training as checks
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


def toml(folder: Path, text: str) -> Path:
    path = folder / "targets.toml"
    path.write_text(text, encoding="utf-8")
    return path


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
def test_the_special_goes_before_the_general(tmp_path, name, data, variant, expected):
    assert read_targets(toml(tmp_path, FILE)).get(name, data, variant) == expected


def test_without_a_file_the_defaults_hold():
    found = {name: Targets().get(name, "pets", "documented") for name in PROPERTIES}
    assert found == {**dict.fromkeys(STATED), **DEFAULTS}


def test_an_empty_file_states_nothing_and_an_absent_one_is_named(tmp_path):
    assert read_targets(toml(tmp_path, "")) == Targets()
    for path in (tmp_path / "none.toml", tmp_path):
        message = re.escape(f"No such targets file. Received: targets='{path}'")
        with pytest.raises(FileNotFoundError, match=message):
            read_targets(path)


@pytest.mark.parametrize("content", [b"[pets", b"accuracy", b"name = '\xff'"])
def test_a_file_that_is_no_toml_is_named(tmp_path, content):
    path = tmp_path / "targets.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is no TOML: "):
        read_targets(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[pets]\naccuray = 1", r"\[pets\] accuray: unknown, expected one of accuracy, "),
        ("[pets.wide]\ngap = 1", r"\[pets.wide\] gap: unknown, expected one of accuracy, "),
        ("[pets]\naccuracy = 'high'", r"\[pets\] accuracy: expected a number, received 'high'"),
        ("[pets]\naccuracy = true", r"\[pets\] accuracy: expected a number, received True"),
        ("[pets]\naccuracy = nan", r"\[pets\] accuracy: expected a number, received nan"),
        ("[pets.wide.deep]\naccuracy = 1", r"\[pets.wide\] deep: unknown, expected one of"),
        ("accuracy = 0.5", r"accuracy: expected a table such as \[drawn\]"),
    ],
)
def test_bad_targets(tmp_path, text, problem):
    path = toml(tmp_path, text)
    with pytest.raises(
        ValueError, match=rf"{re.escape(str(path))} has 1 problem\(s\):\n  {problem}"
    ):
        read_targets(path)


def test_all_problems_are_named_at_once(tmp_path):
    text = "gap = 1\n[pets]\naccuray = 1\n[pets.wide]\naccuracy = 'high'\ninitial_loss = 0.5"
    with pytest.raises(ValueError, match=r"3 problem\(s\)") as caught:
        read_targets(toml(tmp_path, text))
    assert [line.split(":")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  gap",
        "  [pets] accuray",
        "  [pets.wide] accuracy",
    ]


# A marker's


def test_what_a_marker_states_goes_before_every_file(tmp_path):
    stated = stated_in({"accuracy": 0.9, "initial_loss": 1, "seeds": [0, 1], "variants": "wide"})
    assert stated == {"accuracy": 0.9, "initial_loss": 1.0}
    targets = replace(read_targets(toml(tmp_path, FILE)), stated=stated)
    assert targets.get("accuracy", "pets", "wide") == 0.9
    assert targets.get("generalization_gap", "pets", "wide") == 0.05


@pytest.mark.parametrize("value", ["high", True, None, float("nan"), {"wide": 0.5}])
def test_what_a_marker_states_is_a_number(value):
    message = r"\[@pytest.mark.cnnbench\] accuracy: expected a number, received"
    with pytest.raises(ValueError, match=message):
        stated_in({"accuracy": value})


def test_a_threshold_and_a_check_have_the_name_of_their_test():
    suites = Path(__file__).parents[2] / "suites"
    text = "".join(path.read_text() for path in sorted(suites.glob("test_*.py")))
    tests = set(re.findall(r"def test_(\w+)", text))
    checks_of_all = {*vars(checks), *vars(data_checks), *vars(speed_checks)}
    functions = {name for name in checks_of_all if name.startswith("check_")}
    assert set(DEFAULTS) <= tests
    assert {name.removeprefix("check_") for name in functions} <= tests
    assert tomllib.loads((suites / "targets.toml").read_text())["default"] == DEFAULTS
