"""What the system reports during a measurement: clock, throttling, power, and who else computes.

Everything is optional: what a system does not report is missing from the answer. The CPU's figures
come from psutil, an NVIDIA GPU's from NVML (`nvidia-ml-py`, the extra `nvml`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import mean
from typing import Any

import psutil

from cnnbench.machine.backends import kind_of, visible_gpus

CLOCK_FALL = 0.10  # of the first clock
STEAL_SHARE = 0.05  # of the time of all CPUs
OTHER_CPU_SHARE = 0.20
BUSY = ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc")  # of any system

# The bits of NVML's clocks event reasons that slow a device down against its will; an idle device,
# chosen clocks and a display are none. https://docs.nvidia.com/deploy/nvml-api/
NVML_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


class Telemetry:
    """Watches a measurement on a device, from now on; of GPUs, the first that the process may use.

    `sample` between rounds while no clock runs, `stop` at the end.
    """

    def __init__(self, device: str) -> None:
        self._read = _read_cpu if kind_of(device) == "cpu" else _gpu_reader()
        self._readings = [self._read()]
        self._before = _cpu_seconds()

    def sample(self) -> None:
        self._readings.append(self._read())

    def stop(self) -> dict[str, float | str]:
        """Returns what is known; `throttled` has the reasons, shares are of the CPUs' time."""
        clocks, watts, reasons = (
            [reading[name] for reading in self._readings if name in reading]
            for name in ("clock_mhz", "watts", "reasons")
        )
        values: dict[str, float | str] = {}
        if clocks:
            values["clock_mhz_first"] = clocks[0]
            values["clock_mhz_last"] = clocks[-1]
            values["clock_mhz_min"] = min(clocks)
        if watts:
            values["watts"] = mean(watts)
        if reasons:
            values["throttled"] = ", ".join(
                text for bit, text in NVML_REASONS.items() if any(int(x) & bit for x in reasons)
            )
        after = _cpu_seconds()
        total, steal, others = (new - old for old, new in zip(self._before, after, strict=True))
        if total > 0:
            values["steal_share"] = steal / total
            values["other_cpu_share"] = max(0.0, others) / total
        return values


def _cpu_seconds() -> tuple[float, float, float]:
    """Returns all seconds of all CPUs, the stolen ones, and those that other processes computed."""
    times = psutil.cpu_times()._asdict()
    busy = sum(times.get(name, 0.0) for name in BUSY)
    steal = times.get("steal", 0.0)
    own = psutil.Process().cpu_times()
    total = busy + steal + times["idle"] + times.get("iowait", 0.0)
    return total, steal, busy - own.user - own.system


def _read_cpu() -> dict[str, float]:
    # Not every system has clocks. The highest counts: idle CPUs are slow of their own will.
    with suppress(AttributeError, NotImplementedError, OSError, ValueError):
        return {"clock_mhz": max(each.current for each in psutil.cpu_freq(percpu=True))}
    return {}


def _gpu_reader() -> Callable[[], dict[str, float]]:
    """Returns what reads the GPU; nothing is read where NVML is not installed or finds no GPU."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        # NVML counts GPUs by their place on the bus; CUDA with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        name = (visible_gpus() or ["0"])[0]
        by = nvml.nvmlDeviceGetHandleByIndex if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID
        gpu = by(int(name) if name.isdigit() else name)
    except Exception:  # NVML's errors have a type that only its module knows
        return dict
    asked: dict[str, Callable[[], float]] = {
        "clock_mhz": lambda: float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM)),
        "watts": lambda: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
        "reasons": lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu),
    }

    def read() -> dict[str, float]:
        found = {}
        for name, ask in asked.items():
            with suppress(nvml.NVMLError):
                found[name] = ask()
        return found

    return read


def concerns(telemetry: Mapping[str, Any]) -> list[str]:
    """Returns what makes a measurement doubtful, a sentence each."""
    found = []
    if reasons := telemetry.get("throttled"):
        found.append(f"The device was throttled: {reasons}.")
    first = telemetry.get("clock_mhz_first", 0.0)
    least = telemetry.get("clock_mhz_min", first)
    if least < (1 - CLOCK_FALL) * first:
        fall = f"{1 - least / first:.0%}"
        found.append(f"The clock fell from {first:.0f} to {least:.0f} MHz ({fall}).")
    if (steal := telemetry.get("steal_share", 0.0)) > STEAL_SHARE:
        found.append(f"The hypervisor took {steal:.0%} of the CPU time for other machines.")
    if (other := telemetry.get("other_cpu_share", 0.0)) > OTHER_CPU_SHARE:
        found.append(f"Other processes used {other:.0%} of the CPUs.")
    return found
