from dataclasses import replace
from pathlib import Path

import pytest

from cnnbench.pictures.data_set import LeakError, refuse_leaks, split_listing
from cnnbench.pictures.listing import Listing, Picture

ROOT = Path("pictures")


def picture(name: str, label: int = 0) -> Picture:
    return Picture(name, ROOT / name, label)


def listing_of(cats: int, dogs: int) -> Listing:
    pictures = [picture(f"cats/{i}.jpg", 0) for i in range(cats)]
    pictures += [picture(f"dogs/{i}.jpg", 1) for i in range(dogs)]
    return Listing(ROOT, ("cats", "dogs"), tuple(pictures), None)


def own_digests(listing: Listing) -> dict[Path, str]:
    return {p.path: f"content of {p.name}" for p in listing.train}


def split_of(
    listing: Listing, digests: dict[Path, str] | None = None, *, seed: int = 0, fraction=0.2
) -> Listing:
    if digests is None:
        digests = own_digests(listing)
    return split_listing(listing, digests, seed, fraction)


def counts(pictures) -> list[int]:
    return [sum(p.label == label for p in pictures) for label in (0, 1)]


def held_out(listing: Listing) -> set[str]:
    return {p.name for p in listing.validation}


def test_each_class_is_split_by_the_fraction():
    listing = listing_of(50, 10)
    split = split_of(listing, fraction=0.3)
    assert counts(split.train) == [35, 7]
    assert counts(split.validation) == [15, 3]


def test_each_picture_is_on_one_side_in_the_order_of_the_listing():
    listing = listing_of(20, 20)
    split = split_of(listing)
    rest = [p for p in listing.train if p not in split.validation]
    assert list(split.train) == rest
    assert [p for p in listing.train if p in split.validation] == list(split.validation)


def test_split_is_the_same_in_every_version():
    listing = listing_of(5, 5)
    split = split_of(listing)
    assert held_out(split) == {"cats/2.jpg", "dogs/4.jpg"}


def test_another_seed_draws_another_split():
    listing = listing_of(20, 20)
    one, two = (split_of(listing, seed=s) for s in (0, 1))
    assert held_out(one) != held_out(two)


def test_names_and_their_order_do_not_matter():
    listing = listing_of(20, 20)
    digests = own_digests(listing)
    renamed = {p: picture(f"{k * 7 % 40}.jpg", p.label) for k, p in enumerate(listing.train)}
    again = replace(listing, train=tuple(sorted(renamed.values(), key=lambda p: p.name)))
    split = split_of(again, {new.path: digests[old.path] for old, new in renamed.items()})
    assert held_out(split) == {renamed[p].name for p in split_of(listing).validation}


@pytest.mark.parametrize(
    ("pictures", "copies"),
    [
        (20, {f"{c}/{i}.jpg": f"{c} {i // 2}" for c in ("cats", "dogs") for i in range(20)}),
        (10, {f"{c}/0.jpg": "both" for c in ("cats", "dogs")}),
    ],
    ids=["in a class", "in two classes"],
)
def test_equal_files_stay_on_one_side(pictures, copies):
    listing = listing_of(pictures, pictures)
    digests = own_digests(listing) | {ROOT / name: content for name, content in copies.items()}
    for seed in range(20):
        split = split_of(listing, digests, seed=seed)
        refuse_leaks(split, digests)
        assert counts(split.validation) == [pictures // 5] * 2


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_each_side_has_a_picture_of_each_class(fraction):
    listing = listing_of(2, 3)
    split = split_of(listing, fraction=fraction)
    assert min(counts(split.train) + counts(split.validation)) == 1


def test_contents_with_more_copies_than_are_held_out():
    listing = listing_of(10, 2)
    digests = own_digests(listing)
    digests |= {ROOT / f"cats/{i}.jpg": "six" if i < 6 else "four" for i in range(10)}
    split = split_of(listing, digests)
    assert counts(split.validation) == [4, 1]


@pytest.mark.parametrize(("cats", "different"), [(1, 1), (5, 1)])
def test_class_of_one_content_is_named(cats, different):
    listing = listing_of(cats, 5)
    digests = own_digests(listing) | {ROOT / f"cats/{i}.jpg": "one" for i in range(cats)}
    message = (
        rf"'cats' has too few.*Received: pictures={cats}, different={different}, root=pictures"
    )
    with pytest.raises(ValueError, match=message):
        split_of(listing, digests)


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 20, float("nan")])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match=r"more than 0 and less.*Received: validation_fraction="):
        split_of(listing_of(5, 5), fraction=fraction)


def test_leaks_are_pairs_of_equal_content():
    train = (picture("a"), picture("b"), picture("c"))
    listing = Listing(ROOT, ("one",), train, (picture("v"), picture("w")))
    contents = zip("abcvw", "xxyzx", strict=True)
    with pytest.raises(LeakError, match=r"^1 held-out pictures are also trained on:\n  a and w\n"):
        refuse_leaks(listing, {ROOT / name: content for name, content in contents})


def test_leak_error_names_ten_pairs_and_counts_the_others():
    train = tuple(picture(f"t{i}") for i in range(12))
    validation = tuple(picture(f"v{i}") for i in range(12))
    listing = Listing(ROOT, ("one",), train, validation)
    digests = {p.path: p.name[1:] for p in (*train, *validation)}
    with pytest.raises(LeakError, match="12 held-out pictures are also trained on") as caught:
        refuse_leaks(listing, digests)
    message = str(caught.value)
    assert [f"  t{i} and v{i}\n" in message for i in range(12)] == [True] * 10 + [False] * 2
    assert "and 2 others" in message
    assert "delete one of each pair. Received: root=pictures" in message
