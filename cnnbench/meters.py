"""Devices that tell what they do: clock, heat, throttling and energy; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

# The bits of NVML's clocks event reasons that slow a device down against its will; an idle device,
# chosen clocks and a display are none. https://docs.nvidia.com/deploy/nvml-api/
NVML_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


class Meter(Protocol):
    """A device that can be asked what it does."""

    energy_source: str

    def clock_mhz(self) -> float | None:
        """Returns the present clock."""

    def temperature_c(self) -> float | None:
        """Returns the highest temperature."""

    def throttling(self) -> set[str] | None:
        """Returns why the device has been slower than it could be since the last call."""

    def joules(self) -> float | None:
        """Returns a counter of energy that only grows."""

    def watts(self) -> float | None:
        """Returns the present power, where it can be read as such."""

    def close(self) -> None:
        """Gives everything back."""


class CpuMeter:
    """The CPUs: RAPL's counters of the packages (AMD's have the same place), clocks, heat."""

    energy_source = "rapl packages"

    def __init__(self, root: Path) -> None:
        self._cpus = root / "sys/devices/system/cpu"
        self._info = root / "proc/cpuinfo"
        self._zones = sorted(root.glob("sys/class/thermal/thermal_zone*/temp"))
        self._packages = [
            zone
            for zone in sorted(root.glob("sys/class/powercap/intel-rapl:*"))
            if _text(zone / "name").startswith("package")
        ]
        self._last: dict[Path, int] = {}
        self._micro_joules = 0
        self._throttles = self._throttle_count()

    def clock_mhz(self) -> float | None:
        """Returns the highest clock of the CPUs: idle ones are slow of their own will."""
        files = self._cpus.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        clocks = [kilo / 1000 for kilo in map(_number, files) if kilo is not None]
        if not clocks:
            lines = _text(self._info).splitlines()
            clocks = [float(x.partition(":")[2]) for x in lines if x.startswith("cpu MHz")]
        return max(clocks, default=None)

    def temperature_c(self) -> float | None:
        found = [milli / 1000 for milli in map(_number, self._zones) if milli is not None]
        return max(found, default=None)

    def throttling(self) -> set[str] | None:
        before, self._throttles = self._throttles, self._throttle_count()
        if before is None or self._throttles is None:
            return None
        return {"thermal"} if self._throttles > before else set()

    def joules(self) -> float | None:
        for package in self._packages:
            now = _number(package / "energy_uj")
            if now is None:
                return None  # the kernel lets only root read it
            last = self._last.get(package, now)
            span = _number(package / "max_energy_range_uj") or 0
            self._micro_joules += now - last if now >= last else now - last + span
            self._last[package] = now
        return self._micro_joules / 1e6 if self._packages else None

    def watts(self) -> float | None:
        self.joules()  # keeps up with counters that begin anew after a minute
        return None

    def close(self) -> None:
        pass

    def _throttle_count(self) -> int | None:
        files = self._cpus.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
        counts = [count for count in map(_number, files) if count is not None]
        return sum(counts) if counts else None


class NvmlMeter:
    """NVIDIA GPUs, the slowest clock and the sum of the energies of those that are used.

    NVML counts GPUs by their place on the bus; CUDA does so with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
    """

    energy_source = "nvml"

    def __init__(self, nvml: Any, variables: Mapping[str, str], count: int) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        seen = variables.get("CUDA_VISIBLE_DEVICES", "")
        names = seen.split(",") if seen else [str(number) for number in range(count)]
        try:
            self._handles = [self._handle(name.strip()) for name in names[:count]]
        except Exception:
            nvml.nvmlShutdown()
            raise

    def _handle(self, name: str) -> Any:
        if name.isdigit():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(name))
        for number in range(self._nvml.nvmlDeviceGetCount()):  # CUDA takes the start of a UUID
            handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
            if str(self._nvml.nvmlDeviceGetUUID(handle)).startswith(name):
                return handle
        return self._nvml.nvmlDeviceGetHandleByUUID(name)  # a part of a GPU (MIG), or an error

    def _all(self, function: str, *more: Any) -> list[float]:
        """Asks every GPU; returns nothing if one can't tell."""
        try:
            return [float(getattr(self._nvml, function)(h, *more)) for h in self._handles]
        except (AttributeError, self._nvml.NVMLError):
            return []

    def clock_mhz(self) -> float | None:
        return min(self._all("nvmlDeviceGetClockInfo", self._nvml.NVML_CLOCK_SM), default=None)

    def temperature_c(self) -> float | None:
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        return max(self._all("nvmlDeviceGetTemperature", sensor), default=None)

    def throttling(self) -> set[str] | None:
        bits = self._all("nvmlDeviceGetCurrentClocksEventReasons")
        bits = bits or self._all("nvmlDeviceGetCurrentClocksThrottleReasons")  # older drivers
        if not bits:
            return None
        return {text for one in bits for bit, text in NVML_REASONS.items() if int(one) & bit}

    def joules(self) -> float | None:
        milli = self._all("nvmlDeviceGetTotalEnergyConsumption")
        return sum(milli) / 1000 if milli else None

    def watts(self) -> float | None:
        milli = self._all("nvmlDeviceGetPowerUsage")
        return sum(milli) / 1000 if milli else None

    def close(self) -> None:
        self._nvml.nvmlShutdown()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None
