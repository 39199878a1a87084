"""LoadGen as the driver. Without it (an extra), all but the first tests are skipped."""

import sys

import numpy as np
import pytest
from scenario_fakes import ME, PICTURES, Model

from cnnbench.scenarios import loadgen
from cnnbench.scenarios.early_stopping import late_allowed, percentile_bound
from cnnbench.scenarios.loadgen import LoadGenDriver
from cnnbench.scenarios.loadgen_logs import read_log, read_trace
from cnnbench.scenarios.run import run_scenario
from cnnbench.scenarios.settings import ScenarioSettings

EVENTS = """{"traceEvents":[
{"name":"Waiting","ph":"X","pid":1,"tid":1,"ts":713.069,"dur":0.060,"args":{}},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":1,"ts":1834.7,\
"args":{"sample_seq":1,"query_seq":1,"sample_idx":12,"issue_start_ns":0,"complete_ns":2000000}},
{"name":"Sample","cat":"default","ph":"b","pid":1,"id":0,"ts":713.0,\
"args":{"sample_seq":0,"query_seq":0,"sample_idx":8,"issue_start_ns":0,"complete_ns":1000000}},
{"name":"Sample","cat":"default","ph":"e", "pid":1,"id":0,"ts":1824.830},
"""


def test_an_absent_loadgen_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, loadgen.MODULE, None)
    settings, model = ScenarioSettings("single-stream", driver="loadgen"), Model()
    with pytest.raises(ValueError, match=r"pip install 'cnnbench\[loadgen\]'. Received: import of"):
        run_scenario(model.answer, PICTURES, settings, ME)
    assert model.batches == []


def test_the_log_is_read_by_lines(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(
        'noise\n:::MLLOG {"key": "result_validity", "value": "VALID"}\n'
        ':::MLLOG {"key": "result_query_count", "value": 64}\n'
    )
    assert read_log(path) == {"result_validity": "VALID", "result_query_count": 64}


def test_a_log_without_a_result_is_an_error(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(':::MLLOG {"key": "sut_name", "value": "PySUT"}\n')
    with pytest.raises(ValueError, match=r"a result in LoadGen's log. Received: keys=\['sut_name'"):
        read_log(path)


def test_the_trace_gives_latencies_in_the_order_of_arrival(tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(EVENTS)
    assert read_trace(path) == (0.001, 0.002)


# With LoadGen: answers cost nothing, so that its real clock spans milliseconds only.


@pytest.fixture
def model():
    pytest.importorskip(loadgen.MODULE)
    return Model()


def driver(model: Model, **changes) -> LoadGenDriver:
    return LoadGenDriver(model.answer, PICTURES, expected_seconds=1e-6, **changes)


def test_single_stream_asks_about_one_picture_after_the_other(model):
    asked = driver(model)
    found = asked.single_stream(seconds=0.01, minimum_queries=100)
    assert asked.log["result_validity"] == "VALID"
    assert found.queries == len(found.latency_seconds) == len(model.batches) >= 100
    assert {len(batch) for batch in model.batches} == {1}
    assert {picture for batch in model.batches for picture in batch} == {0, 1, 2, 3, 4}
    assert found.seconds >= 0.01


def test_single_stream_without_a_trace_has_no_latencies(model):
    found = driver(model, trace=False).single_stream(seconds=0.001, minimum_queries=64)
    assert found.latency_seconds == ()


def test_loadgen_stops_as_early_as_cnnbench(model):
    asked = driver(model)
    latencies = asked.single_stream(seconds=0.02, minimum_queries=700).latency_seconds
    for percentile, key in (
        (0.9, "early_stopping_latency_ss"),
        (0.99, "early_stopping_latency_ms"),
    ):
        assert percentile_bound(latencies, percentile) == pytest.approx(asked.log[key] / 1e9)
    discarded = late_allowed(len(latencies), 0.9) - 1
    assert f"Would discard {discarded} highest" in asked.log["early_stopping_result"]


def test_offline_asks_in_whole_batches(model):
    asked = driver(model)
    found = asked.offline(pictures=12, batch_size=4)
    assert asked.log["result_validity"] == "VALID"
    assert [len(batch) for batch in model.batches] == [4, 4, 4]
    assert len(found.latency_seconds) == 3
    assert found.queries == 12
    assert found.rate == pytest.approx(asked.log["result_samples_per_second"])
    assert sorted([*model.batches[0], *model.batches[1]][:5]) == [0, 1, 2, 3, 4]


def test_offline_answers_a_last_batch_that_is_not_full(model):
    driver(model).offline(pictures=10, batch_size=4)
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


def test_server_asks_at_random_moments(model):
    asked = driver(model)
    found = asked.server(rate=1e5, seconds=0.001, minimum_queries=662, bound=60.0, attempt=1)
    assert asked.log["result_validity"] == "VALID"
    assert asked.log["effective_target_qps"] == 1e5
    assert found.queries == len(found.latency_seconds) == len(model.batches) == 662
    assert asked.log["result_overlatency_query_count"] == 0


def test_server_takes_together_what_waits(model):
    asked = driver(model, batch_size=4)
    found = asked.server(rate=1e6, seconds=0.001, minimum_queries=2000, bound=60.0, attempt=1)
    assert sum(len(batch) for batch in model.batches) == found.queries
    assert {len(batch) for batch in model.batches} <= {1, 2, 4}
    assert max(len(batch) for batch in model.batches) == 4


def test_late_queries_fail_the_run_as_loadgen_says(model):
    asked = driver(model)
    asked.server(rate=1e5, seconds=0.001, minimum_queries=662, bound=1e-9, attempt=1)
    assert asked.log["result_validity"] == "INVALID"
    assert asked.log["early_stopping_met"] is False


def test_an_error_of_the_model_is_raised_after_the_test(model):
    def broken(pictures):
        raise RuntimeError("no memory")

    asked = LoadGenDriver(broken, PICTURES, expected_seconds=1e-3)
    with pytest.raises(RuntimeError, match="no memory"):
        asked.single_stream(seconds=0.001, minimum_queries=64)
    driver(model).single_stream(seconds=0.001, minimum_queries=64)  # LoadGen works on


@pytest.mark.parametrize(
    ("scenario", "batch_size"), [("single-stream", 1), ("offline", 4), ("server", 1)]
)
def test_records_of_both_drivers_have_the_same_form(model, scenario, batch_size):
    settings = ScenarioSettings(
        scenario,
        seconds=0.005,
        search_seconds=0.002,
        batch_size=batch_size,
        latency_bound_seconds=60.0,
        tries=2,
        driver="loadgen",
    )

    def answer(pictures):
        return np.zeros((len(pictures), 1), np.float32)

    found = run_scenario(answer, PICTURES, settings, ME)
    assert (found.scenario, found.driver) == (scenario, "loadgen")
    assert found.queries > 0
    # A busy machine may not reach, within these milliseconds, what the warm-up promised.
    assert found.queries_per_second > 0 or "no rate" in found.detail
    assert found.is_valid
    assert (found.percentile_seconds is None) == (scenario == "offline")
    assert "unofficial" in found.detail
