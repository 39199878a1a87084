"""What the system tells during a measurement: clocks, throttling, energy, and who else computes.

Everything is optional: what a system does not tell is missing from the answer. Imports nothing
beyond the standard library; NVML comes from `nvidia-ml-py`, the extra `nvml`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnnbench.meters import CpuMeter, Meter, NvmlMeter

Values = dict[str, float | str]
Clock = Callable[[], float]

CLOCK_FALL = 0.10  # of the first clock
STEAL_SHARE = 0.05  # of the time of all CPUs
OTHER_CPU_SHARE = 0.20


class Telemetry:
    """Watches one measurement.

    `start` once after the warm-up, `sample` between rounds while no clock runs, `stop` at the end.
    Energy is that of all between `start` and `stop`: of the CPU packages for a CPU, of the GPU
    alone for a GPU.

    Args:
        device: `cpu`, `cpu*4`, `gpu` or `gpu*2`; of the GPUs that `CUDA_VISIBLE_DEVICES` names, the
            first ones.
        root: of the system's files.
        nvml: the module `pynvml`, instead of the one that is installed.
        variables: the process' environment.
        clock: returns seconds.
    """

    def __init__(
        self,
        device: str,
        root: Path = Path("/"),
        nvml: Any = None,
        variables: Mapping[str, str] = os.environ,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._system = SystemTimes(root)
        self._root, self._clock = root, clock
        self._values: Values = {}
        self._meter: Meter | None = None
        if device.startswith("cpu"):
            self._meter = CpuMeter(root)
            return
        count = int(device.partition("*")[2] or 1)
        try:
            nvml = importlib.import_module("pynvml") if nvml is None else nvml
            self._meter = NvmlMeter(nvml, variables, count)
        except ImportError:
            self._values["note"] = "nvml: not installed"
        except Exception as error:  # NVML has its own type, which only its module knows
            self._values["note"] = f"nvml: {error}"

    def start(self) -> None:
        """Begins: energy and time count from here."""
        self._clocks: list[float] = []
        self._watts: list[float] = []
        self._temperatures: list[float] = []
        self._throttled: set[str] | None = None
        self._used = 0.0
        self._counter = self._meter.joules() if self._meter else None
        if self._meter:
            self._meter.throttling()  # what was before does not count
        self._system.start()
        self._began = self._clock()

    def sample(self) -> None:
        """Reads clock, temperature, power and throttling: some files, or calls of NVML."""
        if not self._meter:
            return
        for seen, value in (
            (self._clocks, self._meter.clock_mhz()),
            (self._temperatures, self._meter.temperature_c()),
            (self._watts, self._meter.watts()),
        ):
            if value is not None:
                seen.append(value)
        self._see_throttling(self._meter)

    def stop(self) -> Values:
        """Ends, and returns all that was learnt.

        Returns:
            Of `clock_mhz_first`, `clock_mhz_last`, `clock_mhz_min`, `temperature_c` (highest),
            `throttled` (reasons, or empty), `joules`, `watts`, `energy_source`, `seconds`,
            `steal_share`, `other_cpu_share`, `load_average` and `note` those that are known.
        """
        seconds = self._clock() - self._began
        values: Values = {**self._values, "seconds": seconds, **self._system.stop()}
        if not self._meter:
            return values
        counter = self._meter.joules()
        self._see_throttling(self._meter)
        if self._clocks:
            values["clock_mhz_first"] = self._clocks[0]
            values["clock_mhz_last"] = self._clocks[-1]
            values["clock_mhz_min"] = min(self._clocks)
        if self._temperatures:
            values["temperature_c"] = max(self._temperatures)
        if self._throttled is not None:
            values["throttled"] = ", ".join(sorted(self._throttled))
        joules, source = None, self._meter.energy_source
        if counter is not None and self._counter is not None:
            joules = counter - self._counter
        elif self._watts:
            joules = sum(self._watts) / len(self._watts) * seconds
            source = f"{source}, mean of {len(self._watts)} readings of power"
        if joules is not None and seconds > 0:
            values |= {"joules": joules, "watts": joules / seconds, "energy_source": source}
        self._meter.close()
        return values

    def _see_throttling(self, meter: Meter) -> None:
        reasons = meter.throttling()
        if reasons is not None:
            self._throttled = (self._throttled or set()) | reasons


class SystemTimes:
    """Shares of the CPUs' time, from `/proc/stat` (proc(5)), and what this process had of it."""

    def __init__(self, root: Path) -> None:
        self._proc = root / "proc"

    def start(self) -> None:
        self._before = self._ticks()

    def stop(self) -> Values:
        after, values = self._ticks(), Values()
        if self._before and after:
            total, busy, steal, own = (b - a for a, b in zip(self._before, after, strict=True))
            if total > 0:
                values["steal_share"] = steal / total
                values["other_cpu_share"] = max(0.0, busy - own) / total
        with contextlib.suppress(OSError, ValueError, IndexError):
            values["load_average"] = float((self._proc / "loadavg").read_text().split()[0])
        return values

    def _ticks(self) -> tuple[int, int, int, int] | None:
        """Returns total, busy and stolen ticks of all CPUs, and the busy ones of this process."""
        try:
            line = (self._proc / "stat").read_text().splitlines()[0]
            user, nice, system, idle, wait, irq, softirq, steal = map(int, line.split()[1:9])
            # The name of a process, in brackets, may hold blanks and brackets.
            own = (self._proc / "self/stat").read_text().rpartition(")")[2].split()
            busy = user + nice + system + irq + softirq
            return busy + idle + wait + steal, busy, steal, int(own[11]) + int(own[12])
        except (OSError, ValueError, IndexError):
            return None


def concerns(telemetry: Mapping[str, Any]) -> list[str]:
    """Returns what makes a measurement doubtful, a sentence each, for people.

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
