import json
import math
import re
from dataclasses import replace

import pytest
from factories import runs_of, training_run

from cnnbench.verdicts.gates.baselines import (
    IDENTITY,
    baseline_of,
    identity_of,
    read_baselines,
    write_baselines,
)

RUNS = runs_of(10, 50, 12, 11)
BASELINE = baseline_of(RUNS, [1])
BOTH = {"documented": BASELINE, "wide": replace(BASELINE, variant="wide")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "baseline.json"


def test_a_baseline_holds_each_seed_that_learns_and_names_the_others():
    assert (BASELINE.variant, BASELINE.seeds, BASELINE.collapsed) == ("documented", (0, 2, 3), (1,))
    assert BASELINE.accuracies == (0.90, 0.88, 0.89)
    assert BASELINE.identity == identity_of(RUNS[0])


@pytest.mark.parametrize(
    "values", [(), (0.9,), (0.9, 1.5), (-0.1, 0.9), (0.9, math.nan), (0.9, math.inf)]
)
def test_accuracies_are_shares_of_two_seeds_at_least(values):
    received = f"seeds=[0, 2, 3], accuracies={list(values)}, collapsed=[1]"
    with pytest.raises(ValueError, match=f"two seeds that learn.*{re.escape(received)}"):
        replace(BASELINE, accuracies=values)


def test_what_was_written_is_read_again_to_the_last_bit(path):
    odd = replace(BASELINE, variant="odd", accuracies=(0.1 + 0.2, 1 / 3, 0.0, 1.0))
    write_baselines(path, [*BOTH.values(), odd], {"commit": "abc"})
    assert read_baselines(path) == {**BOTH, "odd": odd}
    assert len({BASELINE, *read_baselines(path).values()}) == 3  # they are in gates, which hash
    content = json.loads(path.read_text())
    assert (content["cnnbench_baseline"], content["environment"]) == (1, {"commit": "abc"})


# Whether it is of the same


def test_the_identity_is_what_accuracy_may_depend_on():
    assert identity_of(training_run(threads=2)) == {
        **{"fingerprint": "f00d", "data_hash": "c0ffee", "protocol": "one-pass", "epochs": 2},
        **{"steps_per_epoch": 3, "backend": "tensorflow", "device": "cpu", "dtype": "float32"},
        **{"batch_size": 32, "threads": 2},
    }


@pytest.mark.parametrize("name", IDENTITY)
def test_each_part_of_the_identity_is_compared(name):
    (line,) = BASELINE.differences({**identity_of(RUNS[0]), name: "other"})
    assert line == f"{name} is 'other', in the baseline {getattr(RUNS[0], name)!r}"


def test_nothing_else_is_compared_and_what_the_baseline_lacks_differs():
    other = identity_of(replace(RUNS[0], seed=9, val_accuracy=0.1, variant="x"))
    assert BASELINE.differences(other) == []
    assert len(replace(BASELINE, identity={}).differences(other)) == len(IDENTITY)


# Bad files


def test_an_absent_file_is_named_and_how_to_make_one(path):
    message = re.escape(f"`cnnbench baseline --out FILE` makes one. Received: baseline='{path}'")
    with pytest.raises(FileNotFoundError, match=message):
        read_baselines(path)


def file_of(**changes):
    one = {"variant": "x", "identity": {}, "seeds": [1], "accuracies": [0, 1], "collapsed": []}
    return json.dumps({"cnnbench_baseline": 1, "baselines": [{**one, **changes}]})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "JSONDecodeError: "),
        ("[]", "TypeError: "),
        ('{"cnnbench_baseline": 2, "baselines": []}', "ValueError: version 2"),
        ('{"cnnbench_baseline": 1, "baselines": [{}]}', "KeyError: 'variant'"),
        (file_of(more=1), "ValueError: Missing or unknown fields: more"),
        ("\xff", "UnicodeDecodeError: "),
        (file_of(accuracies=[0.9, "high"]), "TypeError: "),
        (file_of(accuracies=[0.9, 1.5]), r"ValueError: .*variant='x'.*accuracies=\[0.9, 1.5\]"),
    ],
)
def test_a_file_that_is_no_baseline_is_named(tmp_path, text, problem):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode("latin-1"))
    message = rf"^{re.escape(str(path))} is no baseline of version 1 that `cnnbench baseline` wrote"
    with pytest.raises(ValueError, match=f"{message}: {problem}"):
        read_baselines(path)
