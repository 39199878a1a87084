import json

import pytest

from cnnbench.plugin.clock import RecordedClock, show_rounds

SUITE = """
import pytest
from cnnbench.plugin.clock import RecordedClock
from cnnbench.plugin.clock import show_rounds

clock = RecordedClock()

@pytest.mark.benchmark(timer=clock.timer)
def test_recorded(benchmark):
    show_rounds(benchmark, clock, [0.5, 0.25, 2.0])
"""


class Pedantic:
    """Times rounds as pytest-benchmark's fixture does, by the clock."""

    def __init__(self, clock: RecordedClock, further_calls: int = 0) -> None:
        self.clock, self.further_calls = clock, further_calls
        self.seconds: list[float] = []

    def pedantic(self, target, rounds: int) -> None:
        for _ in range(rounds + self.further_calls):
            start = self.clock.timer()
            target()
            self.seconds.append(self.clock.timer() - start)


def test_the_clock_stands_still():
    clock = RecordedClock()
    assert clock.timer() == clock.timer() == 0.0


def test_the_clock_goes_forward_by_what_was_measured():
    clock = RecordedClock()
    clock.advance(0.5)
    clock.advance(0.25)
    assert clock.timer() == 0.75


@pytest.mark.parametrize("seconds", [(0.5,), (0.5, 0.25, 2.0)])
def test_each_round_takes_its_recorded_seconds(seconds):
    clock = RecordedClock()
    benchmark = Pedantic(clock)
    show_rounds(benchmark, clock, seconds)
    assert benchmark.seconds == list(seconds)


def test_a_further_call_takes_no_time():
    clock = RecordedClock()
    benchmark = Pedantic(clock, further_calls=1)
    show_rounds(benchmark, clock, [0.5])
    assert benchmark.seconds == [0.5, 0.0]


def test_pytest_benchmark_shows_the_recorded_seconds(pytester):
    pytester.makepyfile(SUITE)
    path = pytester.path / "out.json"
    pytester.runpytest_inprocess(f"--benchmark-json={path}", "--benchmark-enable")
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    assert benchmark["stats"]["data"] == [0.5, 0.25, 2.0]
    assert benchmark["stats"]["median"] == 0.5


def test_profiling_takes_its_further_call(pytester):
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_inprocess("--benchmark-cprofile=tottime", "--benchmark-enable")
    result.assert_outcomes(passed=1)
