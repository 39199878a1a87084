"""Do intervals for new pictures and new seeds cover what they say? By simulation.

Networks of a seed `i` are right on a picture `j` with the chance `Phi(mean + tau d_j + sigma s_i)`
of standard normal difficulties `d` and seed effects `s`.
"""

import numpy as np
import pytest
from scipy import stats

from cnnbench.stats.intervals import difference_of, mean_of, picture_error, widened

SIZES = [(pictures, seeds) for pictures in (100, 320, 1000) for seeds in (3, 5, 8)]


def accuracy(mean, tau, sigma):
    """Returns the accuracy over all pictures and seeds."""
    return float(stats.norm.cdf(mean / np.sqrt(1 + tau**2 + sigma**2)))


def answers(rng, difficulty, seeds, mean, tau, sigma):
    """Returns whether each seed is right on each picture."""
    effects = sigma * rng.standard_normal((seeds, 1))
    return rng.standard_normal((seeds, len(difficulty))) < mean + tau * difficulty + effects


def coverage_of_mean(pictures, seeds, tau, sigma, repeats):
    """Returns how often the truth lies in the interval, and in that of the seeds alone."""
    rng = np.random.default_rng(pictures + seeds)
    mean, hits, alone = 0.85 * np.sqrt(1 + tau**2), 0, 0
    truth = accuracy(mean, tau, sigma)
    for _ in range(repeats):
        correct = answers(rng, rng.standard_normal(pictures), seeds, mean, tau, sigma)
        own = mean_of(correct.mean(axis=1))
        wide, narrow = widened(own, *picture_error(correct)).interval(), own.interval()
        hits += wide.low <= truth <= wide.high
        alone += narrow.low <= truth <= narrow.high
    return hits / repeats, alone / repeats


def coverage_of_difference(pictures, seeds, alike, sigma, repeats):
    rng = np.random.default_rng(pictures + seeds)
    tau, hits = 1.5, 0
    truth = accuracy(1.5, tau, sigma) - accuracy(1.8, tau, sigma)
    for _ in range(repeats):
        shared, *own = rng.standard_normal((3, pictures))
        hard = [alike * shared + np.sqrt(1 - alike**2) * each for each in own]
        one = answers(rng, hard[0], seeds, 1.5, tau, sigma)
        other = answers(rng, hard[1], seeds, 1.8, tau, sigma)
        seen = difference_of(one.mean(axis=1), other.mean(axis=1))
        found = widened(seen, *picture_error(one, other)).interval()
        hits += found.low <= truth <= found.high
    return hits / repeats


@pytest.mark.parametrize(("pictures", "seeds"), [(100, 8), (320, 3)])
def test_accuracy_on_new_pictures_is_covered_thanks_to_the_pictures_part(pictures, seeds):
    hits, alone = coverage_of_mean(pictures, seeds, 1.5, 0.05, 600)
    assert 0.93 <= hits <= 0.97
    assert alone < 0.9


@pytest.mark.parametrize(("pictures", "seeds"), [(100, 8), (320, 3)])
def test_a_difference_on_new_pictures_is_covered(pictures, seeds):
    assert 0.93 <= coverage_of_difference(pictures, seeds, 0.95, 0.05, 600) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("tau", [0.5, 1.5, 3.0])
@pytest.mark.parametrize(("pictures", "seeds"), SIZES)
def test_accuracy_is_covered_wherever_the_variance_lies(pictures, seeds, tau, sigma):
    assert 0.93 <= coverage_of_mean(pictures, seeds, tau, sigma, 4000)[0] <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("alike", [0.5, 0.95, 1.0])
@pytest.mark.parametrize(("pictures", "seeds"), SIZES)
def test_a_difference_is_covered_wherever_the_variance_lies(pictures, seeds, alike, sigma):
    assert 0.93 <= coverage_of_difference(pictures, seeds, alike, sigma, 4000) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.01, 0.003])
def test_three_seeds_alarm_no_more_often_than_stated_on_new_pictures(alpha):
    rng = np.random.default_rng(6)
    truth, alarms, repeats = accuracy(0.85 * 1.25**0.5, 0.5, 0.15), 0, 10_000
    for _ in range(repeats):
        correct = answers(rng, rng.standard_normal(320), 3, 0.85 * 1.25**0.5, 0.5, 0.15)
        found = widened(mean_of(correct.mean(axis=1)), *picture_error(correct))
        alarms += found.p_below(truth) <= alpha
    assert alarms / repeats <= alpha + 2 * (alpha / repeats) ** 0.5
