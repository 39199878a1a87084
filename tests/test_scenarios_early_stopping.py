import numpy as np
import pytest
from scipy import stats

from cnnbench.scenarios.early_stopping import (
    fixed_queries,
    late_allowed,
    nearest_rank,
    percentile_bound,
    queries_in_time,
    rounded_queries,
)
from cnnbench.scenarios.settings import MINIMUM_QUERIES, PERCENTILES


# The table in MLPerf's rules (inference_rules.adoc, "Scenarios")
@pytest.mark.parametrize(
    ("percentile", "queries", "rounded"),
    [
        (0.90, 23_886, 24_576),
        (0.95, 50_425, 57_344),
        (0.97, 85_811, 90_112),
        (0.99, 262_742, 270_336),
    ],
)
def test_fixed_counts_are_those_of_the_rules(percentile, queries, rounded):
    assert fixed_queries(percentile) == queries
    assert rounded_queries(percentile) == rounded


# LoadGen: "Need to process at least 64 queries for early stopping"; mlperf.conf:
# *.MultiStream.min_query_count = 662; loadgen/early_stopping.cc: log(1 - c) / log(p), rounded up.
@pytest.mark.parametrize(
    ("late", "percentile", "queries"), [(0, 0.9, 44), (1, 0.9, 64), (0, 0.99, 459), (1, 0.99, 662)]
)
def test_the_fewest_queries_are_those_of_loadgen(late, percentile, queries):
    assert queries_in_time(late, percentile) + late == queries


def test_the_fewest_queries_of_a_scenario_allow_one_that_is_late():
    for scenario in ("single-stream", "server"):
        percentile, queries = PERCENTILES[scenario], MINIMUM_QUERIES[scenario]
        assert late_allowed(queries, percentile) == 1
        assert late_allowed(queries - 1, percentile) == 0


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("late", [0, 1, 7, 100])
def test_so_many_queries_are_the_fewest_by_the_binomial(percentile, late):
    queries = late + queries_in_time(late, percentile)
    assert stats.binom.cdf(late, queries, 1 - percentile) <= 0.01
    assert stats.binom.cdf(late, queries - 1, 1 - percentile) > 0.01


@pytest.mark.parametrize("percentile", [0.9, 0.99])
@pytest.mark.parametrize("queries", [700, 5000, 24_576])
def test_as_many_may_be_late_as_the_queries_suffice_for(percentile, queries):
    late = late_allowed(queries, percentile)
    assert late + queries_in_time(late, percentile) <= queries
    assert late + 1 + queries_in_time(late + 1, percentile) > queries


@pytest.mark.parametrize("queries", [0, 1, 43])
def test_too_few_queries_allow_nothing(queries):
    assert late_allowed(queries, 0.9) is None


def test_more_confidence_takes_more_queries():
    assert queries_in_time(0, 0.9, 0.999) == 66
    assert fixed_queries(0.9, 0.999) > fixed_queries(0.9, 0.99)


def test_the_bound_discards_all_late_ones_but_one():
    # LoadGen on 439 queries: "Would discard 28 highest latency queries".
    assert late_allowed(439, 0.9) == 29
    assert percentile_bound(range(439), 0.9) == 438 - 28


def test_the_bound_of_the_fewest_queries_is_the_longest_latency():
    assert percentile_bound([3.0, *[1.0] * 63], 0.9) == 3.0


@pytest.mark.parametrize("count", [0, 44, 63])
def test_fewer_queries_have_no_bound(count):
    assert percentile_bound([1.0] * count, 0.9) is None


def test_the_bound_is_above_the_percentile_in_99_of_100_samples():
    generator = np.random.default_rng(0)
    truth = -np.log(0.1)
    held = [percentile_bound(generator.exponential(size=500), 0.9) >= truth for _ in range(2000)]
    assert 0.985 <= np.mean(held) <= 0.999


@pytest.mark.parametrize(
    ("percentile", "rank"), [(0.1, 2), (0.5, 10), (0.55, 11), (0.9, 18), (0.99, 20), (0.001, 1)]
)
def test_percentiles_are_of_the_nearest_rank(percentile, rank):
    assert nearest_rank(list(range(20, 0, -1)), percentile) == rank


def test_a_rank_is_not_rounded_up_by_floats():
    assert 100 * 0.55 > 55
    assert nearest_rank(range(1, 101), 0.55) == 55


def test_no_latency_has_no_percentile():
    with pytest.raises(ValueError, match=r"at least one latency. Received: latencies=\(\)"):
        nearest_rank([], 0.9)


@pytest.mark.parametrize("function", [fixed_queries, rounded_queries])
@pytest.mark.parametrize("share", [0.0, 1.0, 99.0])
def test_shares_are_between_0_and_1(function, share):
    with pytest.raises(ValueError, match=f"between 0 and 1. Received: percentile={share}"):
        function(share)
    with pytest.raises(ValueError, match=f"between 0 and 1. Received: confidence={share}"):
        function(0.9, share)


def test_late_queries_are_counted_from_0():
    with pytest.raises(ValueError, match=r"at least 0\. Received: late=-1"):
        queries_in_time(-1, 0.9)
