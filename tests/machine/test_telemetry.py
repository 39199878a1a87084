"""What is made of the answers of psutil and of a module that replaces NVML."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psutil
import pytest

from cnnbench.machine.telemetry import Telemetry, concerns


def watched(device: str, samples: int = 0) -> dict[str, float | str]:
    telemetry = Telemetry(device)
    for _ in range(samples):
        telemetry.sample()
    return telemetry.stop()


def answers(monkeypatch: pytest.MonkeyPatch, name: str, given: Iterable[Any]) -> None:
    """Makes a function of psutil return one value after the other."""
    left = iter(given)
    monkeypatch.setattr(psutil, name, lambda **_: next(left))


SHARES = {"steal_share", "other_cpu_share"}


def test_this_system_is_understood():
    clocks = {"clock_mhz_first", "clock_mhz_last", "clock_mhz_min"}
    assert set(watched("cpu")) <= SHARES | clocks


def test_clocks_are_those_of_the_fastest_cpu(monkeypatch):
    rounds = ((3000, 800), (800, 2000), (2500, 800))
    clocks = [[SimpleNamespace(current=clock) for clock in each] for each in rounds]
    answers(monkeypatch, "cpu_freq", clocks)
    values = watched("cpu", samples=2)
    assert (values["clock_mhz_first"], values["clock_mhz_last"]) == (3000, 2500)
    assert values["clock_mhz_min"] == 2000


def test_a_system_without_clocks_reports_none(monkeypatch):
    monkeypatch.delattr(psutil, "cpu_freq")
    assert set(watched("cpu")) <= SHARES


class Times(SimpleNamespace):
    def _asdict(self) -> dict[str, float]:
        return vars(self)


@pytest.mark.parametrize(
    ("before", "after", "own", "shares"),
    [
        (
            Times(user=1000, system=0, idle=1000, iowait=0, steal=100),
            Times(user=1060, system=20, idle=1005, iowait=5, steal=110),
            Times(user=40, system=10),
            (0.1, 0.3),
        ),
        # Both are rounded: a process alone may seem to have computed more than there was.
        (Times(user=0, idle=0), Times(user=80, idle=20), Times(user=80.1, system=0), (0.0, 0.0)),
    ],
)
def test_shares_of_the_cpus_time(before, after, own, shares, monkeypatch):
    answers(monkeypatch, "cpu_times", [before, after])
    used = iter([Times(user=0, system=0), own])
    monkeypatch.setattr(psutil, "Process", lambda: SimpleNamespace(cpu_times=used.__next__))
    values = watched("cpu")
    assert (values["steal_share"], values["other_cpu_share"]) == pytest.approx(shares)


NVML = (  # what is used of it
    "NVMLError",
    "NVML_CLOCK_SM",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetPowerUsage",
    "nvmlInit",
)


@pytest.fixture
def nvml(monkeypatch):
    """Stands in for `pynvml`: two GPUs, whose handles are their numbers."""
    module = MagicMock(NVML, NVMLError=LookupError, NVML_CLOCK_SM="SM")
    module.nvmlDeviceGetHandleByIndex = (0, 1).__getitem__
    module.nvmlDeviceGetHandleByUUID = ("GPU-a", "GPU-b").index
    clocks = {(0, "SM"): 1900, (1, "SM"): 1800}
    module.nvmlDeviceGetClockInfo.side_effect = lambda gpu, kind: clocks[gpu, kind]
    module.nvmlDeviceGetPowerUsage.return_value = 70_000
    module.nvmlDeviceGetCurrentClocksEventReasons.return_value = 1  # idle
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return module


@pytest.mark.usefixtures("nvml")
@pytest.mark.parametrize(
    ("visible", "clock"), [("0,1", 1900), ("1", 1800), (" GPU-b ", 1800), ("7", None)]
)
def test_the_gpu_is_the_first_that_cuda_shows(monkeypatch, visible, clock):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert watched("gpu").get("clock_mhz_last") == clock


def test_a_gpu_reports_power_and_why_it_was_throttled(nvml):
    values = watched("gpu")
    assert (values["clock_mhz_first"], values["watts"], values["throttled"]) == (1900, 70, "")
    reasons = 0x1 | 0x2 | 0x4 | 0x40  # idle and chosen clocks are none
    nvml.nvmlDeviceGetCurrentClocksEventReasons.return_value = reasons
    assert watched("gpu")["throttled"] == "power cap, hardware thermal slowdown"


def test_what_a_gpu_does_not_report_is_missing(nvml):
    nvml.nvmlDeviceGetPowerUsage.side_effect = nvml.NVMLError
    nvml.nvmlDeviceGetCurrentClocksEventReasons.side_effect = nvml.NVMLError
    clocks = {"clock_mhz_first", "clock_mhz_last", "clock_mhz_min"}
    assert set(watched("gpu")) - SHARES == clocks


def test_without_nvml_nothing_is_known_of_the_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert set(watched("gpu")) <= SHARES


def test_the_real_module_has_what_is_called():
    pynvml = pytest.importorskip("pynvml")
    assert set(NVML) <= set(dir(pynvml))


FINE = {
    "throttled": "",
    "clock_mhz_first": 3000.0,
    "clock_mhz_min": 2700.0,
    "steal_share": 0.05,
    "other_cpu_share": 0.20,
}


@pytest.mark.parametrize(
    ("telemetry", "texts"),
    [
        ({}, []),
        (FINE, []),
        ({"throttled": "power cap"}, ["The device was throttled: power cap."]),
        ({**FINE, "clock_mhz_min": 2400.0}, ["The clock fell from 3000 to 2400 MHz (20%)."]),
        ({"steal_share": 0.08}, ["The hypervisor took 8% of the CPU time for other machines."]),
        ({"other_cpu_share": 0.31}, ["Other processes used 31% of the CPUs."]),
    ],
)
def test_each_disturbance_is_named(telemetry, texts):
    assert concerns(telemetry) == texts
