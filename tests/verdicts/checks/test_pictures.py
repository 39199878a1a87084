import re
from math import nextafter

import pytest
from factories import data_set

from cnnbench import checks
from cnnbench.pictures.near_duplicates import NearDuplicates
from cnnbench.verdicts.targets import DEFAULTS


@pytest.mark.parametrize(
    ("leaks", "verdict"), [([], "pass"), (["a.jpg equals b.jpg", "c.jpg equals d.jpg"], "fail")]
)
def test_each_leak_is_named(leaks, verdict):
    result = checks.check_held_out(leaks)
    assert (result.verdict, result.observed, result.threshold) == (verdict, len(leaks), 0.0)
    assert result.detail == ("\n".join(leaks) or "no picture is in both sets, by content")


@pytest.mark.parametrize(
    ("pairs", "look_alikes", "verdict", "start"),
    [
        (0, 0, "pass", "no held-out picture looks like one that is trained on"),
        (1, 0, "fail", "1 held-out pictures look like one that is trained on; look"),
        (0, 1, "pass", "Strangers look alike here: 1 held-out"),
        (10, 10, "fail", "10 held-out pictures"),
        (11, 500, "fail", "11 held-out pictures"),
    ],
)
def test_near_duplicates_are_red_and_strangers_that_look_alike_are_named(
    pairs, look_alikes, verdict, start
):
    pair = ("train/1.jpg", "validation/2.jpg")
    result = checks.check_near_duplicates(NearDuplicates((pair,) * pairs, (pair,) * look_alikes))
    assert (result.check, result.verdict) == ("near_duplicates", verdict)
    assert (result.observed, result.threshold) == (pairs, 0.0)
    assert result.detail.startswith(start)
    named = result.detail.count("\n  train/1.jpg and validation/2.jpg")
    assert named == min(10, pairs) + min(10, look_alikes)
    others = re.findall(r"\n  and (\d+) others", result.detail)
    assert others == [str(count - 10) for count in (pairs, look_alikes) if count > 10]
    assert ("cannot be told" in result.detail) == bool(look_alikes)


# Balance


def balance(train, held_out=(50, 50), least=DEFAULTS["class_balance"]):
    """Judges pictures with so many of each class on either side."""
    labels = tuple(label for label, count in enumerate(held_out) for _ in range(count))
    names = ("cats", "dogs", "owls")[: len(train)]
    data = data_set(classes=names, train_labels_per_class=train, validation_labels=labels)
    return checks.check_class_balance(data, least)


@pytest.mark.parametrize(
    ("train", "held_out", "verdict", "observed"),
    [
        ((300, 300), (160, 160), "pass", 1.0),
        ((70, 30), (50, 50), "pass", 0.6),
        ((40, 60), (80, 20), "pass", 1 / 3),  # of 60 % of the dogs, 20 % are held out
        ((95, 5), (50, 50), "fail", 0.1),
        ((95, 5), (95, 5), "fail", 0.1),
        ((50, 50), (95, 5), "fail", 0.1),
        ((100, 0), (50, 50), "fail", 0.0),
        ((100, 100, 10), (20, 20, 20), "fail", 1 / 7),
    ],
)
def test_gross_imbalance_is_red(train, held_out, verdict, observed):
    result = balance(train, held_out)
    assert (result.verdict, result.observed) == (verdict, pytest.approx(observed))


@pytest.mark.parametrize(("least", "verdict"), [(0.5, "pass"), (nextafter(0.5, 1), "fail")])
def test_a_class_may_have_the_least_share(least, verdict):
    # A quarter where an even share is a half
    result = balance((75, 25), least=least)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.5, least)


def test_the_class_in_want_is_named():
    assert balance((95, 5)).detail == (
        "shares in training and held out: cats 95.0% and 50.0%, dogs 5.0% and 50.0%; least is "
        "'dogs' with 0.10 of an even share or of its share on the other side, expected at least "
        "0.20"
    )
