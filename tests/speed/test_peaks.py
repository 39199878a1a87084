import math

import pytest

from cnnbench.machine.backends import DTYPES, Place, missing
from cnnbench.records.records import Peak
from cnnbench.speed import peaks
from cnnbench.speed.peaks import Ladder, best_rate, measure_peak

LADDER = Ladder(8, 1024, float)


class Machine:
    """Does `rate` works a fake second; some calls are disturbed, some sizes slow or failing."""

    def __init__(self, rate, disturbed=(), cache=math.inf, memory=math.inf):
        self.now, self.calls, self.sizes = 0.0, 0, []
        self.rate, self.disturbed, self.cache, self.memory = rate, disturbed, cache, memory

    def make(self, size):
        if size > self.memory:
            raise MemoryError
        self.sizes.append(size)

        def call():
            self.calls += 1
            slow = 10.0 if self.calls in {1, *self.disturbed} else 1.0  # the first one compiles
            self.now += slow * size / (self.rate if size <= self.cache else self.rate / 4)

        return call

    def best(self, ladder=LADDER, seconds=0.25):
        return best_rate(self.make, ladder, seconds=seconds, clock=lambda: self.now)


@pytest.mark.parametrize(
    ("machine", "best", "sizes"),
    [
        (Machine(1000), 1000, [8, 16, 32]),  # 32 take long enough
        (Machine(1000, disturbed=(2,)), 1000, [8, 16, 32]),
        (Machine(1e5), 1e5, [8, 16, 32, 64, 128, 256, 512, 1024]),  # the largest size
        (Machine(2000, cache=16), 2000, [8, 16, 32]),  # not the last one is the best
        (Machine(1000, memory=8), 1000, [8]),
        (Machine(1000, memory=7), None, []),
    ],
)
def test_sizes_are_doubled_until_a_call_is_long_enough_or_fails(machine, best, sizes):
    assert machine.best(seconds=5.0) == pytest.approx(best)
    assert machine.sizes == sizes


def test_the_shortest_call_counts_while_there_is_time():
    machine = Machine(rate=1000, disturbed={*range(200)} - {8})
    assert machine.best(Ladder(32, 32, float), seconds=5.0) == pytest.approx(1000)
    assert 4.4 < machine.now < 5


def test_what_is_very_slow_is_called_twice_and_compiling_is_not_timed():
    machine = Machine(rate=10)  # the first call takes 8 s, the others 0.8 s
    assert machine.best() == pytest.approx(10)
    assert machine.calls == 2


def test_a_clock_that_stands_still_is_no_division_by_zero():
    assert best_rate(lambda _: lambda: None, LADDER, seconds=0.0, clock=lambda: 0.0) > 0


def test_work_is_what_is_calculated_by_hand():
    assert peaks.LADDERS["matmul"].work(512) == 268_435_456
    assert peaks.LADDERS["convolution"].work(2) == 2 * 2 * 56 * 56 * 64 * 3 * 3 * 64


# Real backends on works that take no time

ALWAYS = {
    "tensorflow": {"float32": 2, "int8": 1},
    "openvino": {"float32": 2, "int8": 2},
    "onnxruntime": {"float32": 2, "float16": 0, "bfloat16": 0, "int8": 2},
}


@pytest.mark.parametrize("backend", ALWAYS)
def test_a_backend_measures_what_it_can(backend, monkeypatch):
    if missing(backend):
        pytest.skip(missing(backend))
    monkeypatch.setitem(peaks.LADDERS, "matmul", Ladder(64, 64, float))
    monkeypatch.setitem(peaks.LADDERS, "convolution", Ladder(1, 1, float))
    for dtype in DTYPES:
        peak = measure_peak(Place(backend, "cpu", 1), dtype, seconds=0)
        both = (peak.matmul_flops_per_second, peak.convolution_flops_per_second)
        rates = [rate for rate in both if rate is not None]
        assert all(rate > 0 for rate in rates)
        assert len(rates) == ALWAYS[backend].get(dtype, len(rates))


def test_without_a_gpu_there_is_no_peak_of_one():
    place = Place("tensorflow", "gpu:1", 2)
    assert measure_peak(place, "float32") == Peak(place, "float32", None, None)
