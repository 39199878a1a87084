import pytest

from cnnbench.scenarios.settings import DRIVERS, SCENARIOS, ScenarioSettings


def test_the_scenarios_have_mlperf_s_names():
    assert SCENARIOS == ("single-stream", "offline", "server")
    assert DRIVERS == ("cnnbench", "loadgen")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "multi"}, "single-stream, offline, server. Received: scenario='multi'"),
        ({"driver": "wrk"}, "one of cnnbench, loadgen. Received: driver='wrk'"),
        ({"seconds": 0.0}, "seconds to be above 0. Received: seconds=0.0"),
        ({"search_seconds": -1.0}, "Received: search_seconds=-1.0"),
        ({"latency_bound_seconds": 0.0}, "Received: latency_bound_seconds=0.0"),
        ({"batch_size": 0}, "batch_size to be at least 1. Received: batch_size=0"),
        ({"tries": 0}, "Received: tries=0"),
        ({"confirmations": 0}, "Received: confirmations=0"),
        ({"warmup_queries": 0}, "Received: warmup_queries=0"),
        ({"rate_step": 1.0}, "rate_step to be above 1. Received: rate_step=1.0"),
        (
            {"scenario": "single-stream", "batch_size": 8},
            "batch_size 1 for single-stream, .* Received: batch_size=8",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ScenarioSettings(**{"scenario": "offline", **changes})


def test_all_problems_are_named_at_once():
    with pytest.raises(ValueError, match=r"scenario='multi'[\s\S]*seconds=0"):
        ScenarioSettings("multi", seconds=0)  # type: ignore[arg-type]
