"""What the system reports during a measurement: clock, throttling, power, and who else computes.

Everything is optional: what a system does not report is missing from the answer. The CPU's figures
come from psutil, an NVIDIA GPU's from NVML (`nvidia-ml-py`, the extra `nvml`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

import psutil

from cnnbench.machine.backends import kind_of

Reading = dict[str, float]

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
    """Watches one measurement.

    `start` once after the warm-up, `sample` between rounds while no clock runs, `stop` at the end.

    Args:
        device: `cpu` or `gpu`; the GPU is the first that the process may use.
    """

    def __init__(self, device: str) -> None:
        self._read = _read_cpu if kind_of(device) == "cpu" else _gpu_reader()

    def start(self) -> None:
        self._readings: list[Reading] = []
        self._before = _cpu_seconds()

    def sample(self) -> None:
        self._readings.append(self._read())

    def stop(self) -> dict[str, float | str]:
        """Returns all that was reported since the start.

        Returns:
            Of `clock_mhz_first`, `clock_mhz_last`, `clock_mhz_min`, `watts` (mean), `throttled`
            (reasons, or empty), `steal_share` and `other_cpu_share` those that are known.
        """
        values: dict[str, float | str] = {}
        if clocks := self._of("clock_mhz"):
            values["clock_mhz_first"] = clocks[0]
            values["clock_mhz_last"] = clocks[-1]
            values["clock_mhz_min"] = min(clocks)
        if watts := self._of("watts"):
            values["watts"] = mean(watts)
        if reasons := self._of("reasons"):
            seen = {bit for bit in NVML_REASONS for each in reasons if int(each) & bit}
            values["throttled"] = ", ".join(NVML_REASONS[bit] for bit in sorted(seen))
        after = _cpu_seconds()
        total, steal, others = (new - old for old, new in zip(self._before, after, strict=True))
        if total > 0:
            values["steal_share"] = steal / total
            values["other_cpu_share"] = max(0.0, others) / total
        return values

    def _of(self, name: str) -> list[float]:
        return [reading[name] for reading in self._readings if name in reading]


def _cpu_seconds() -> tuple[float, float, float]:
    """Returns all seconds of all CPUs, the stolen ones, and those that other processes computed."""
    times = psutil.cpu_times()._asdict()
    busy = sum(times.get(name, 0.0) for name in BUSY)
    steal = times.get("steal", 0.0)
    own = psutil.Process().cpu_times()
    total = busy + steal + times["idle"] + times.get("iowait", 0.0)
    return total, steal, busy - own.user - own.system


def _read_cpu() -> Reading:
    # Not every system has clocks. The highest counts: idle CPUs are slow of their own will.
    with contextlib.suppress(AttributeError, NotImplementedError, OSError, ValueError):
        return {"clock_mhz": max(each.current for each in psutil.cpu_freq(percpu=True))}
    return {}


def _gpu_reader() -> Callable[[], Reading]:
    """Returns what reads the GPU; nothing is read where NVML is not installed or finds no GPU."""
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        # NVML counts GPUs by their place on the bus; CUDA with CUDA_DEVICE_ORDER=PCI_BUS_ID.
        name = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"
        by = nvml.nvmlDeviceGetHandleByIndex if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID
        gpu = by(int(name) if name.isdigit() else name)
    except Exception:  # NVML's errors have a type that only its module knows
        return dict

    def read() -> Reading:
        found: Reading = {}
        with contextlib.suppress(nvml.NVMLError):
            found["clock_mhz"] = float(nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM))
        with contextlib.suppress(nvml.NVMLError):
            found["watts"] = nvml.nvmlDeviceGetPowerUsage(gpu) / 1000
        with contextlib.suppress(nvml.NVMLError):
            found["reasons"] = nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)
        return found

    return read


def concerns(telemetry: Mapping[str, Any]) -> list[str]:
    """Returns what makes a measurement doubtful, a sentence each.

    Args:
        telemetry: what `Telemetry.stop` returned.
    """
    found = []
    if telemetry.get("throttled"):
        found.append(f"The device was throttled: {telemetry['throttled']}.")
    first, least = telemetry.get("clock_mhz_first"), telemetry.get("clock_mhz_min")
    if first and least is not None and least < (1 - CLOCK_FALL) * first:
        fall = 1 - least / first
        found.append(f"The clock fell from {first:.0f} to {least:.0f} MHz ({fall:.0%}).")
    steal, other = telemetry.get("steal_share", 0.0), telemetry.get("other_cpu_share", 0.0)
    if steal > STEAL_SHARE:
        found.append(f"The hypervisor took {steal:.0%} of the CPU time for other machines.")
    if other > OTHER_CPU_SHARE:
        found.append(f"Other processes used {other:.0%} of the CPUs.")
    return found
