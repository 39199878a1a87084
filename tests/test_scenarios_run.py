from dataclasses import replace

import numpy as np
import pytest
from scenario_fakes import ME, PICTURES, TICK, Model

from cnnbench.scenarios import run as scenario_run
from cnnbench.scenarios.own import OwnDriver
from cnnbench.scenarios.queries import Answered
from cnnbench.scenarios.run import holds_bound, run_scenario
from cnnbench.scenarios.settings import ScenarioSettings


def ran(model: Model, scenario, seconds=1.0, **changes):
    settings = ScenarioSettings(scenario, seconds=seconds, search_seconds=1.0, **changes)
    return run_scenario(model.answer, PICTURES, settings, ME, clock=model.watch)


def unconfirmed(monkeypatch, fails: int) -> list[float]:
    """Lets so many fresh runs fail; returns the rates of all of them, filled as they run."""
    rates: list[float] = []
    whole = OwnDriver.server

    def server(self, **wanted):
        found = whole(self, **wanted)
        if wanted["seconds"] != 2.0:
            return found
        rates.append(wanted["rate"])
        late = (99.0,) * found.queries
        return replace(found, latency_seconds=late) if len(rates) <= fails else found

    monkeypatch.setattr(OwnDriver, "server", server)
    return rates


# Single-stream


def test_single_stream_reports_the_90th_percentile():
    # Warm-up takes 11 batches; every fifth of the first hundred queries is slow.
    found = ran(Model(slow={11 + 5 * n: TICK for n in range(20)}), "single-stream", 119 * TICK)
    assert found.queries == 100
    assert found.percentile == 0.9
    assert found.percentile_seconds == 2 * TICK
    assert found.confidence == 0.99
    assert found.queries_per_second == pytest.approx(100 / (120 * TICK))
    assert found.seconds == 120 * TICK
    assert found.latency_bound_seconds is None
    assert found.batch_size == 1
    assert found.is_valid


def test_single_stream_runs_until_early_stopping_can_tell():
    found = ran(Model(first=1.0), "single-stream", 3.0)
    assert found.queries == 64
    assert found.percentile_seconds == 1.0
    assert found.is_valid


@pytest.mark.parametrize(
    ("queries", "seconds", "is_valid"), [(64, 1.0, True), (63, 1.0, False), (64, 0.9, False)]
)
def test_single_stream_that_ended_early_is_not_valid(monkeypatch, queries, seconds, is_valid):
    early = Answered((TICK,) * queries, queries, seconds, 1.0)
    monkeypatch.setattr(OwnDriver, "single_stream", lambda *_, **__: early)
    assert ran(Model(), "single-stream").is_valid is is_valid


def test_the_record_says_whose_answers_they_are():
    found = ran(Model(), "single-stream")
    mine = {name: getattr(found, name) for name in ME.__dataclass_fields__}
    assert mine == {name: getattr(ME, name) for name in ME.__dataclass_fields__}
    assert (found.scenario, found.driver) == ("single-stream", "cnnbench")


def test_warm_up_is_not_timed():
    found = ran(Model(slow={0: 60.0, 10: 60.0}), "single-stream")
    assert set(found.latency_seconds) == {TICK}


# Offline


def test_offline_is_as_long_as_asked_for():
    model = Model(TICK, TICK)
    found = ran(model, "offline", batch_size=7)
    assert found.queries_per_second == 7 / (8 * TICK)
    assert 1.0 <= found.seconds <= 1.2
    assert found.queries == 7 * len(found.latency_seconds)
    assert {len(batch) for batch in model.batches} == {7}
    assert found.percentile_seconds is None
    assert found.is_valid


def test_offline_that_ends_too_soon_is_run_again_with_more_pictures():
    slow = dict.fromkeys(range(11), 3 * TICK)  # the warm-up promises a fourth of the rate
    model = Model(slow=slow)
    found = ran(model, "offline")
    assert found.seconds >= 1.0
    assert found.is_valid
    assert len(model.batches) > 11 + found.queries  # there was a first run


def test_offline_that_always_ends_too_soon_is_not_valid(monkeypatch):
    monkeypatch.setattr(scenario_run, "OFFLINE_SLACK", 0.5)
    found = ran(Model(), "offline")
    assert found.seconds < 1.0
    assert not found.is_valid


# Server


def test_server_finds_a_rate_that_holds_the_bound():
    found = ran(Model(first=0.001), "server", 20.0, latency_bound_seconds=0.010)
    # M/D/1 with 1 ms of service: the 99th percentile is near 10 ms at a load of 0.8.
    assert 650 < found.queries_per_second < 900
    assert found.percentile == 0.99
    assert found.percentile_seconds <= 0.010
    assert found.latency_bound_seconds == 0.010
    assert found.seconds >= 20.0
    assert found.is_valid
    assert "rate confirmed by fresh run" in found.detail


def test_batches_hold_a_higher_rate():
    model = Model(first=0.001, each=0.0001)
    alone, together = (
        ran(model, "server", 5.0, latency_bound_seconds=0.01, batch_size=size) for size in (1, 8)
    )
    assert together.queries_per_second > 2 * alone.queries_per_second
    assert together.batch_size == 8


def test_server_warms_up_all_sizes_of_batches():
    model = Model()
    ran(model, "server", batch_size=6, tries=1, confirmations=1)
    assert [len(batch) for batch in model.batches[:44]] == [1] * 11 + [2] * 11 + [4] * 11 + [6] * 11


def test_a_bound_out_of_reach_is_not_valid():
    found = ran(Model(first=0.1), "server", latency_bound_seconds=0.05)
    assert found.queries_per_second == 0.0
    assert not found.is_valid
    assert "no rate held the bound" in found.detail
    assert found.latency_seconds[0] == pytest.approx(0.1)


@pytest.mark.parametrize("fails", [0, 1, 3])
def test_a_rate_that_is_not_confirmed_steps_back(monkeypatch, fails):
    rates = unconfirmed(monkeypatch, fails)
    found = ran(Model(), "server", 2.0, latency_bound_seconds=60.0)
    assert len(rates) == fails + 1
    assert found.queries_per_second == rates[-1]
    assert rates[0] / rates[-1] == pytest.approx(1.05 ** sum(range(fails + 1)))
    assert found.is_valid
    assert f"confirmed by fresh run {fails + 1}" in found.detail


def test_no_confirmed_rate_is_no_rate(monkeypatch):
    rates = unconfirmed(monkeypatch, fails=99)
    found = ran(Model(), "server", 2.0, confirmations=3)
    assert len(rates) == 3
    assert found.queries_per_second == 0.0
    assert not found.is_valid
    assert "no rate was confirmed in 3 fresh runs" in found.detail


def test_tries_and_fresh_runs_have_their_own_arrivals(monkeypatch):
    attempts = []
    whole = OwnDriver.server

    def server(self, **wanted):
        attempts.append(wanted["attempt"])
        return whole(self, **wanted)

    monkeypatch.setattr(OwnDriver, "server", server)
    found = ran(Model(), "server", latency_bound_seconds=60.0)
    assert attempts == list(range(1, len(attempts) + 1))
    assert f"{len(attempts) - 1} tries of 1 s" in found.detail


@pytest.mark.parametrize(
    ("queries", "late", "holds"),
    [(662, 1, True), (662, 2, False), (661, 1, False), (459, 0, True), (458, 0, False)],
)
def test_a_bound_holds_if_early_stopping_says_so(queries, late, holds):
    latencies = (2.0,) * late + (1.0,) * (queries - late)
    assert holds_bound(latencies, 1.0) is holds


def test_an_answer_at_the_bound_is_in_time():
    assert holds_bound((1.0,) * 459, 1.0)


# What the rules say


def test_a_short_run_says_that_it_is_scaled_down():
    detail = ran(Model(), "single-stream").detail
    assert "p50 0.977 ms, p99 0.977 ms" in detail
    assert "scaled down from MLPerf's rules (1 s of 600 s); unofficial" in detail


def test_a_long_run_says_so():
    detail = ran(Model(first=1.0), "single-stream", 600.0).detail
    assert "as long as MLPerf's rules want (601 s of 600 s); unofficial" in detail


def test_offline_needs_as_many_pictures_as_there_are(monkeypatch):
    assert "of at least 5 pictures" in ran(Model(), "offline").detail
    monkeypatch.setattr("cnnbench.scenarios.outcome.RULED_OFFLINE_PICTURES", 3)
    assert "of at least 3 pictures" in ran(Model(), "offline").detail


def test_offline_with_too_few_pictures_is_scaled_down_however_long_it_is():
    model, many = Model(first=100.0), np.repeat(PICTURES, 4, axis=0)
    settings = ScenarioSettings("offline", seconds=600.0)
    found = run_scenario(model.answer, many, settings, ME, clock=model.watch)
    assert found.seconds >= 600
    assert "7 of at least 20 pictures; scaled down" in found.detail


@pytest.mark.parametrize("shape", [(0, 2, 2, 3), (2, 2, 3)])
def test_there_must_be_pictures(shape):
    settings = ScenarioSettings("offline")
    with pytest.raises(ValueError, match=r"at least one picture, .* Received: shape=\("):
        run_scenario(Model().answer, np.zeros(shape, np.uint8), settings, ME)
