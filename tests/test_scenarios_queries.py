import numpy as np
import pytest

from cnnbench.scenarios.queries import (
    arrivals,
    batch_sizes,
    largest_batch,
    repeated,
    whole_batches,
)


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (24, (1, 2, 4, 8, 16, 24))],
)
def test_batches_come_in_few_sizes(largest, sizes):
    assert batch_sizes(largest) == sizes


@pytest.mark.parametrize(
    ("waiting", "size"), [(1, 1), (3, 2), (4, 4), (23, 16), (24, 24), (99, 24)]
)
def test_a_batch_holds_no_more_than_wait(waiting, size):
    assert largest_batch(waiting, batch_sizes(24)) == size


def test_those_who_fill_no_batch_are_one_of_their_own():
    assert largest_batch(2, (4,)) == 2


@pytest.mark.parametrize(("pictures", "whole"), [(1, 32), (32, 32), (33, 64)])
def test_offline_has_whole_batches(pictures, whole):
    assert whole_batches(pictures, 32) == whole


def test_offline_asks_about_all_pictures_in_one_order_again_and_again():
    wanted = repeated(7, 17, seed=1)
    assert sorted(wanted[:7]) == list(range(7))
    assert list(wanted[7:14]) == list(wanted[:7])
    assert list(wanted[14:]) == list(wanted[:3])
    assert list(wanted[:7]) != list(range(7))


def test_arrivals_span_the_seconds_and_end_with_the_first_after_them():
    moments = arrivals(100.0, 50.0, 1, (0, 0))
    assert moments[0] == 0
    assert moments[-2] < 50 <= moments[-1]
    assert np.all(np.diff(moments) > 0)


def test_arrivals_are_no_fewer_than_asked_for():
    assert len(arrivals(1.0, 2.0, 662, (0, 0))) == 662


def test_gaps_of_arrivals_are_exponential():
    gaps = np.diff(arrivals(200.0, 100.0, 1, (0, 1)))
    assert np.mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert np.std(gaps) == pytest.approx(1 / 200, rel=0.03)  # as large as the mean
    assert np.mean(gaps > 3 / 200) == pytest.approx(np.exp(-3), abs=0.01)


def test_each_attempt_has_its_own_arrivals_and_always_the_same():
    first, again, other = (arrivals(9.0, 9.0, 1, (0, attempt)) for attempt in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
