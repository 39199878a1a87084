import time

from cnnbench.scenarios.watch import REAL, SPIN_SECONDS


def test_a_wait_ends_when_its_moment_has_come():
    moment = time.perf_counter() + 2 * SPIN_SECONDS
    REAL.wait_until(moment)
    assert moment <= REAL.now() < moment + 60


def test_a_moment_that_has_passed_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(time, "sleep", None)
    REAL.wait_until(time.perf_counter() - 1)
