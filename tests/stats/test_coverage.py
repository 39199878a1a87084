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


def estimates(pictures, seeds, tau, sigma, repeats):
    """Returns a true accuracy and its estimates, of the seeds alone and with the pictures' part."""
    rng, mean = np.random.default_rng(pictures + seeds), 0.85 * np.sqrt(1 + tau**2)
    found = []
    for _ in range(repeats):
        correct = answers(rng, rng.standard_normal(pictures), seeds, mean, tau, sigma)
        own = mean_of(correct.mean(axis=1))
        found.append((own, widened(own, *picture_error(correct))))
    return accuracy(mean, tau, sigma), found


def coverage(truth, found):
    intervals = [one.interval() for one in found]
    return np.mean([one.low <= truth <= one.high for one in intervals])


def coverage_of_difference(pictures, seeds, alike, sigma, repeats):
    rng, tau, found = np.random.default_rng(pictures + seeds), 1.5, []
    for _ in range(repeats):
        shared, *own = rng.standard_normal((3, pictures))
        hard = [alike * shared + np.sqrt(1 - alike**2) * each for each in own]
        one = answers(rng, hard[0], seeds, 1.5, tau, sigma)
        other = answers(rng, hard[1], seeds, 1.8, tau, sigma)
        seen = difference_of(one.mean(axis=1), other.mean(axis=1))
        found.append(widened(seen, *picture_error(one, other)))
    return coverage(accuracy(1.5, tau, sigma) - accuracy(1.8, tau, sigma), found)


@pytest.mark.parametrize(("pictures", "seeds"), [(100, 8), (320, 3)])
def test_estimates_on_new_pictures_are_covered_thanks_to_the_pictures_part(pictures, seeds):
    truth, found = estimates(pictures, seeds, 1.5, 0.05, 600)
    alone, wide = zip(*found, strict=True)
    assert 0.93 <= coverage(truth, wide) <= 0.97
    assert coverage(truth, alone) < 0.9
    assert 0.93 <= coverage_of_difference(pictures, seeds, 0.95, 0.05, 600) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.15])
@pytest.mark.parametrize(("pictures", "seeds"), SIZES)
def test_estimates_are_covered_wherever_the_variance_lies(pictures, seeds, sigma):
    for tau in (0.5, 1.5, 3.0):
        truth, found = estimates(pictures, seeds, tau, sigma, 4000)
        assert 0.93 <= coverage(truth, [wide for _, wide in found]) <= 0.97
    for alike in (0.5, 0.95, 1.0):
        assert 0.93 <= coverage_of_difference(pictures, seeds, alike, sigma, 4000) <= 0.97
