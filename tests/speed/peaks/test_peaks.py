import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from cnnbench.records.measurements import Peak
from cnnbench.speed import limits
from cnnbench.speed.peaks import sizes
from cnnbench.speed.peaks.measure import BACKENDS, DTYPES, measure
from cnnbench.speed.peaks.sizes import Ladder, best_rate

PEAK = Peak("jax", "cpu", "float32", 2, 100e9, 80e9)


class Machine:
    """Does `rate` works a fake second; some calls are disturbed, some sizes fail."""

    def __init__(self, rate, disturbed=(), fails_from=None, extra=0.0):
        self.now, self.calls, self.sizes = 0.0, 0, []
        self._rate, self._disturbed, self._fails_from = rate, disturbed, fails_from
        self._extra = extra

    def make(self, size):
        if self._fails_from is not None and size >= self._fails_from:
            raise MemoryError
        self.sizes.append(size)

        def call():
            self.calls += 1
            first = self.sizes.count(size) == 1 and self.calls == 1
            slow = 10.0 if self.calls in self._disturbed or first else 1.0
            self.now += slow * (size / self._rate + self._extra)

        return call

    def best(self, ladder, seconds=0.25):
        return best_rate(self.make, ladder, seconds=seconds, clock=lambda: self.now)


LADDER = Ladder(8, 1024, float)


# The search for a size


def test_sizes_are_doubled_until_a_call_is_long_enough():
    machine = Machine(rate=1000)  # 32 take 0.032 s
    assert machine.best(LADDER, seconds=5.0) == pytest.approx(1000)
    assert machine.sizes == [8, 16, 32]


def test_the_largest_size_ends_the_search():
    machine = Machine(rate=1e9)
    assert machine.best(LADDER, seconds=0.001) == pytest.approx(1e9)
    assert machine.sizes[-1] == 1024


def test_the_best_size_counts_though_it_is_not_the_last():
    # 16 run fast, anything larger leaves the cache
    def make(size):
        def call():
            now[0] += size / (2000 if size <= 16 else 500)

        return call

    now = [0.0]
    found = best_rate(make, LADDER, seconds=0.25, clock=lambda: now[0])
    assert found == pytest.approx(2000)


def test_overheads_are_small_beside_long_calls():
    machine = Machine(rate=1000, extra=0.001)
    assert machine.best(LADDER) > 950


def test_the_shortest_call_counts():
    machine = Machine(rate=1000, disturbed={*range(200)} - {8})
    assert machine.best(Ladder(32, 32, float), seconds=5.0) == pytest.approx(1000)


def test_one_disturbed_call_does_not_end_the_search():
    machine = Machine(rate=1000, disturbed=(2,))
    machine.best(LADDER, seconds=5.0)
    assert machine.sizes == [8, 16, 32]


def test_compiling_is_not_timed():
    machine = Machine(rate=10)  # the first call takes 8 s, the others 0.8 s
    assert machine.best(LADDER) == pytest.approx(10)


def test_what_is_very_slow_is_called_twice():
    machine = Machine(rate=10)
    machine.best(LADDER)
    assert machine.calls == 2


def test_the_time_is_kept():
    machine = Machine(rate=1000)
    machine.best(LADDER, seconds=2.0)
    assert 1.9 < machine.now < 2.2


def test_a_size_that_fails_leaves_the_best_so_far():
    assert Machine(rate=1000, fails_from=16).best(LADDER) == pytest.approx(1000)


def test_nothing_is_known_if_the_smallest_size_fails():
    assert Machine(rate=1000, fails_from=8).best(LADDER) is None


def test_a_call_that_fails_is_as_good_as_none():
    def make(_):
        def call():
            raise RuntimeError("no kernel")

        return call

    assert best_rate(make, LADDER, seconds=0.25, clock=lambda: 0.0) is None


def test_a_clock_that_stands_still_is_no_division_by_zero():
    assert best_rate(lambda _: lambda: None, LADDER, seconds=0.0, clock=lambda: 0.0) > 0


def test_work_is_what_is_calculated_by_hand():
    assert sizes.matmul_flops(512) == 268_435_456
    assert sizes.convolution_flops(1) == 2 * 56 * 56 * 64 * 3 * 3 * 64


# Limits


def test_the_faster_of_both_is_the_limit():
    assert limits.flops_limit(PEAK) == 100e9
    assert limits.flops_limit(replace(PEAK, matmul_flops_per_second=None)) == 80e9
    assert limits.flops_limit(replace(PEAK, convolution_flops_per_second=120e9)) == 120e9


def test_percent_of_peak():
    assert limits.percent_of_peak(1000, 25e6, PEAK) == 25.0


def test_nothing_is_known_of_an_unknown_peak_or_count():
    nothing = Peak("jax", "cpu", "int8", 2, None, None)
    assert limits.percent_of_peak(1000, 25e6, nothing) is None
    assert limits.percent_of_peak(1000, None, PEAK) is None


@pytest.mark.parametrize(
    ("backend_count", "workload", "agree"),
    [
        (100, "inference", True),
        (104, "inference", True),
        (106, "inference", False),
        (93, "inference", False),
        (106, "train", True),
        (112, "train", False),
    ],
)
def test_counts_agree_within_the_tolerance(backend_count, workload, agree):
    assert limits.counts_agree(100, backend_count, workload) is agree


def test_a_count_of_nothing_agrees_with_nothing():
    with pytest.raises(ValueError, match=r"Expected a count above 0\. Received: counted=0"):
        limits.counts_agree(0, 0, "inference")


# Measuring


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("theano", "cpu", "float32"), r"Unknown backend.*tensorflow.*Received: backend='theano'"),
        (("jax", "tpu", "float32"), r"Unknown device.*cpu, gpu.*Received: device='tpu'"),
        (("jax", "cpu", "float64"), r"Unknown dtype.*float16.*Received: dtype='float64'"),
    ],
)
def test_unknown_names_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        measure(*given, 1)


# Each backend in a process of its own, on works that take no time.
CHILD = """
import json, sys
from dataclasses import asdict, replace
from cnnbench.speed.peaks import measure
from cnnbench.speed.peaks import sizes
sizes.MATMUL = replace(sizes.MATMUL, smallest=64, largest=64)
sizes.CONVOLUTION = replace(sizes.CONVOLUTION, largest=1)
backend, *dtypes = sys.argv[1:]
peaks = [measure.measure(backend, "cpu", dtype, 1, seconds=0.0) for dtype in dtypes]
gpu = measure.measure(backend, "gpu", "float32", 1, seconds=0.0)
print(json.dumps([asdict(peak) for peak in (*peaks, gpu)]))
"""
WORKS = ("matmul_flops_per_second", "convolution_flops_per_second")
ALWAYS = {
    "tensorflow": {"float32": 2, "int8": 1},
    "jax": {"float32": 2, "bfloat16": 2, "float16": 2, "int8": 2},
    "torch": {"float32": 2, "bfloat16": 2, "int8": 1},
    "openvino": {"float32": 2, "int8": 2},
    "onnxruntime": {"float32": 2, "float16": 2, "bfloat16": 0, "int8": 2},
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_measures_what_it_can(backend):
    needed = (backend, "onnx") if backend == "onnxruntime" else (backend,)
    if not all(importlib.util.find_spec(name) for name in needed):
        pytest.skip(f"{' and '.join(needed)} are not all installed")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, backend, *DTYPES],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    *peaks, gpu = json.loads(done.stdout.splitlines()[-1])
    known = {peak["dtype"]: sum(peak[work] is not None for work in WORKS) for peak in peaks}
    assert {dtype: known[dtype] for dtype in ALWAYS[backend]} == ALWAYS[backend]
    assert all(peak[work] is None or peak[work] > 0 for peak in peaks for work in WORKS)
    assert [gpu[work] for work in WORKS] == [None] * 2  # there is none, and that is no crash
