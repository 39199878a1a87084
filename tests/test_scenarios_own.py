import numpy as np
import pytest
from scenario_fakes import PICTURES, TICK, Model

from cnnbench.scenarios import own
from cnnbench.scenarios.own import OwnDriver
from cnnbench.scenarios.queries import arrivals


def driver(model: Model, **changes) -> OwnDriver:
    return OwnDriver(model.answer, PICTURES, watch=model.watch, **changes)


def served(model: Model, rate: float = 100.0, **changes):
    wanted = {"seconds": 2.0, "minimum_queries": 1, "bound": 1.0, "attempt": 0}
    batch_size = changes.pop("batch_size", 1)
    return driver(model, batch_size=batch_size).server(rate=rate, **{**wanted, **changes})


def at(monkeypatch, *moments: float) -> None:
    monkeypatch.setattr(own, "arrivals", lambda *_: np.array(moments))


# Single-stream


def test_single_stream_asks_about_one_picture_after_the_other():
    model = Model()
    found = driver(model).single_stream(seconds=99 * TICK, minimum_queries=1)
    assert found.queries == 100  # the last one was issued after 99 ticks
    assert found.latency_seconds == (TICK,) * 100
    assert found.seconds == 100 * TICK
    assert found.rate == 1024
    assert {len(batch) for batch in model.batches} == {1}
    assert model.waits == []


def test_single_stream_keeps_the_order_of_latencies():
    model = Model(slow={2: 5 * TICK})
    found = driver(model).single_stream(seconds=TICK, minimum_queries=4)
    assert found.latency_seconds == (TICK, TICK, 6 * TICK, TICK)


def test_single_stream_has_at_least_so_many_queries():
    assert driver(Model(1.0)).single_stream(seconds=2.0, minimum_queries=64).queries == 64


def test_single_stream_goes_on_when_the_drawn_queries_are_spent(monkeypatch):
    monkeypatch.setattr(own, "DRAWN", 3)
    assert driver(Model()).single_stream(seconds=TICK, minimum_queries=10).queries == 10


def test_pictures_are_drawn_with_replacement_and_always_the_same():
    asked = []
    for seed in (0, 0, 1):
        model = Model()
        driver(model, seed=seed).single_stream(seconds=TICK, minimum_queries=200)
        asked.append([picture for batch in model.batches for picture in batch])
    assert asked[0] == asked[1] != asked[2]
    counts = np.bincount(asked[0], minlength=5)
    assert counts.min() > 20
    assert len(set(asked[0][:5])) < 5 or len(set(asked[0][5:10])) < 5  # not a permutation


# Offline


def test_offline_asks_in_whole_batches():
    model = Model(TICK, TICK)
    found = driver(model).offline(pictures=12, batch_size=4)
    assert [len(batch) for batch in model.batches] == [4, 4, 4]
    assert found.latency_seconds == (5 * TICK,) * 3
    assert found.seconds == 15 * TICK
    assert found.rate == 12 / (15 * TICK)
    assert found.queries == 12


def test_offline_asks_about_every_picture():
    model = Model()
    driver(model).offline(pictures=10, batch_size=5)
    assert [sorted(batch) for batch in model.batches] == [list(range(5))] * 2


# Server


def test_server_waits_for_each_arrival():
    model = Model(0.0)
    served(model)
    assert model.waits == arrivals(100.0, 2.0, 1, (0, 0))[1:].tolist()


def test_latency_counts_from_the_scheduled_arrival(monkeypatch):
    at(monkeypatch, 0.0, 0.25, 5.0)
    found = served(Model(first=1.0), bound=9.0)
    # The second came while the first was answered: it waited for 0.75 s and took 1 s.
    assert found.latency_seconds == (1.0, 1.75, 1.0)
    assert found.seconds == 6.0
    assert found.queries == 3


def test_one_slow_answer_makes_all_late_that_came_meanwhile(monkeypatch):
    at(monkeypatch, *np.arange(8) / 4)
    found = served(Model(first=0.0, slow={0: 1.0}), bound=9.0)
    assert found.latency_seconds == (1.0, 0.75, 0.5, 0.25, 0, 0, 0, 0)


def test_as_many_are_answered_at_once_as_wait_and_fit(monkeypatch):
    at(monkeypatch, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 9.0)
    model = Model(first=1.0)
    found = served(model, batch_size=4, bound=99.0)
    assert [len(batch) for batch in model.batches] == [1, 4, 2, 1, 1]
    assert found.latency_seconds[:2] == pytest.approx((1.0, 1.9))
    assert found.queries == 9


def test_without_batches_queries_are_answered_one_by_one(monkeypatch):
    at(monkeypatch, 0, 0.1, 0.2)
    model = Model(first=1.0)
    served(model, bound=99.0)
    assert [len(batch) for batch in model.batches] == [1, 1, 1]


def test_server_counts_from_when_it_starts():
    model = Model()
    model.now = 1000.0
    assert max(served(model).latency_seconds) < 1


def test_a_run_that_must_fail_is_given_up():
    found = served(Model(first=1.0), rate=100.0, seconds=20.0, bound=0.5)
    # 2000 queries may have about 9 late ones.
    assert found.queries < 20


def test_a_run_that_may_pass_is_not_given_up(monkeypatch):
    at(monkeypatch, *np.arange(662.0))
    found = served(Model(slow={5: 0.75}), bound=0.5)
    assert found.queries == 662
    assert sum(latency > 0.5 for latency in found.latency_seconds) == 1


def test_the_attempt_decides_the_arrivals():
    first, again, other = (served(Model(), attempt=attempt) for attempt in (1, 1, 2))
    assert first == again != other
