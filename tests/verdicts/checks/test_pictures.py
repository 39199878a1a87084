from math import nextafter

import pytest
from factories import data_set

from cnnbench.pictures.near_duplicates import NearDuplicates
from cnnbench.verdicts.checks.pictures import (
    check_class_balance,
    check_held_out,
    check_near_duplicates,
)
from cnnbench.verdicts.targets import DEFAULTS


def classes(train: tuple[int, ...], held_out: tuple[int, ...] = (50, 50)):
    """Returns pictures with so many of each class."""
    names = ("cats", "dogs", "owls")[: len(train)]
    labels = tuple(label for label, count in enumerate(held_out) for _ in range(count))
    return data_set(
        classes=names,
        train_pictures=sum(train),
        train_labels_per_class=train,
        validation_labels=labels,
    )


PAIR = ("train/1.jpg", "validation/2.jpg")


@pytest.mark.parametrize(
    ("leaks", "verdict"), [([], "pass"), (["a.jpg equals b.jpg", "c.jpg equals d.jpg"], "fail")]
)
def test_each_leak_is_named(leaks, verdict):
    result = check_held_out(leaks)
    assert (result.verdict, result.observed, result.threshold) == (verdict, len(leaks), 0.0)
    assert result.detail == ("\n".join(leaks) or "no picture is in both sets, by content")


@pytest.mark.parametrize(
    ("found", "verdict", "start"),
    [
        (NearDuplicates(), "pass", "no held-out picture looks like one that is trained on"),
        (NearDuplicates(pairs=(PAIR,)), "fail", "1 held-out pictures look like one that is"),
        (NearDuplicates(look_alikes=(PAIR,)), "pass", "Strangers look alike here: 1 held-out"),
        (NearDuplicates((PAIR,), (PAIR,)), "fail", "1 held-out pictures look like one that is"),
    ],
)
def test_near_duplicates_are_red_and_strangers_that_look_alike_are_named(found, verdict, start):
    result = check_near_duplicates(found)
    assert (result.check, result.verdict) == ("near_duplicates", verdict)
    assert (result.observed, result.threshold) == (len(found.pairs), 0.0)
    assert result.detail.startswith(start)
    named = result.detail.count("\n  train/1.jpg and validation/2.jpg")
    assert named == len(found.pairs) + len(found.look_alikes)
    assert ("cannot be told" in result.detail) == bool(found.look_alikes)


@pytest.mark.parametrize(("count", "lines"), [(10, 11), (11, 12), (500, 12)])
def test_ten_near_duplicates_are_named_and_the_others_counted(count, lines):
    pairs = tuple((f"{i}.png", f"copy-{i}.png") for i in range(count))
    detail = check_near_duplicates(NearDuplicates(pairs)).detail
    assert len(detail.splitlines()) == lines
    assert detail.endswith(f"and {count - 10} others") == (count > 10)


# Balance


@pytest.mark.parametrize(
    ("train", "held_out", "verdict"),
    [
        ((300, 300), (160, 160), "pass"),
        ((70, 30), (50, 50), "pass"),
        ((95, 5), (50, 50), "fail"),
        ((95, 5), (95, 5), "fail"),
        ((50, 50), (95, 5), "fail"),
        ((100, 0), (50, 50), "fail"),
        ((100, 100, 10), (20, 20, 20), "fail"),
    ],
)
def test_gross_imbalance_is_red(train, held_out, verdict):
    result = check_class_balance(classes(train, held_out), DEFAULTS["class_balance"])
    assert result.verdict == verdict


@pytest.mark.parametrize(("least", "verdict"), [(0.5, "pass"), (nextafter(0.5, 1), "fail")])
def test_a_class_may_have_the_least_share(least, verdict):
    # A quarter where an even share is a half.
    result = check_class_balance(classes((75, 25)), least)
    assert (result.verdict, result.observed, result.threshold) == (verdict, 0.5, least)


def test_shares_of_the_two_sides_are_compared():
    # Dogs: 60 % of the training pictures and 20 % of those held out.
    assert check_class_balance(classes((40, 60), (80, 20)), 0.2).observed == pytest.approx(1 / 3)


def test_the_class_in_want_is_named():
    detail = check_class_balance(classes((95, 5)), 0.2).detail
    assert detail == (
        "shares in training and held out: cats 95.0% and 50.0%, dogs 5.0% and 50.0%; least is "
        "'dogs' with 0.10 of an even share or of its share on the other side, expected at least "
        "0.20"
    )
