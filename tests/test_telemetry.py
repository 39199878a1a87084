"""What the system tells, from files in a folder and from a module that stands in for NVML."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnbench.telemetry import Telemetry, Values, concerns

CPUS = "sys/devices/system/cpu"
RAPL = "sys/class/powercap"


class System:
    """A tree of the system's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 100.0

    def write(self, path: str, text: object) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    def clocks(self, *mhz: int) -> None:
        for number, value in enumerate(mhz):
            self.write(f"{CPUS}/cpu{number}/cpufreq/scaling_cur_freq", value * 1000)

    def package(self, number: int, micro_joules: int, name: str = "") -> None:
        folder = f"{RAPL}/intel-rapl:{number}"
        self.write(f"{folder}/name", name or f"package-{number}")
        self.write(f"{folder}/energy_uj", micro_joules)
        self.write(f"{folder}/max_energy_range_uj", 10_000_000)

    def ticks(self, user: int = 0, idle: int = 0, steal: int = 0, own: int = 0) -> None:
        self.write("proc/stat", f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 2 3")
        fields = "S 1 1 1 0 -1 0 0 0 0 0"  # up to the faults; then utime and stime
        self.write(
            "proc/self/stat", f"7 (a (strange) name) {fields} {own - own // 5} {own // 5} 99 99"
        )

    def telemetry(self, device: str = "cpu", **more: Any) -> Telemetry:
        return Telemetry(device, self.root, clock=lambda: self.now, **more)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def measured(system: System, *changes: Any) -> Values:
    """Starts, makes each change followed by a sample, and stops two seconds later."""
    telemetry = system.telemetry()
    telemetry.start()
    for change in changes:
        change()
        telemetry.sample()
    system.now += 2
    return telemetry.stop()


# The CPU


def test_a_system_that_tells_nothing_leaves_the_seconds(system: System) -> None:
    assert measured(system, lambda: None) == {"seconds": 2.0}


def test_this_system_is_understood() -> None:
    telemetry = Telemetry("cpu")
    telemetry.start()
    telemetry.sample()
    values = telemetry.stop()
    assert float(values["seconds"]) >= 0
    if sys.platform == "linux":
        assert float(values["load_average"]) >= 0


def test_clocks_are_those_of_the_fastest_cpu(system: System) -> None:
    values = measured(
        system,
        lambda: system.clocks(3000, 800),
        lambda: system.clocks(800, 2000),
        lambda: system.clocks(2500, 800),
    )
    assert values["clock_mhz_first"] == 3000
    assert values["clock_mhz_min"] == 2000
    assert values["clock_mhz_last"] == 2500


def test_clocks_are_also_read_where_only_cpuinfo_has_them(system: System) -> None:
    system.write("proc/cpuinfo", "model name : x\ncpu MHz\t\t: 2596.140\ncpu MHz\t\t: 2600.5")
    assert measured(system, lambda: None)["clock_mhz_last"] == 2600.5


def test_energy_is_that_of_all_packages_and_of_nothing_inside_them(system: System) -> None:
    system.package(0, 1_000_000)
    system.package(1, 5_000_000)
    system.package(2, 0, "psys")  # the whole machine, packages included
    system.write(f"{RAPL}/intel-rapl:0:0/name", "core")

    def later() -> None:
        system.package(0, 4_000_000)
        system.package(1, 6_000_000)
        system.package(2, 9_000_000, "psys")

    values = measured(system, later)
    assert (values["joules"], values["watts"]) == (4.0, 2.0)
    assert values["energy_source"] == "rapl packages"


def test_energy_goes_on_where_the_counter_begins_anew(system: System) -> None:
    system.package(0, 9_000_000)
    again = [lambda: system.package(0, 1_000_000), lambda: system.package(0, 9_500_000)]
    values = measured(system, *again, lambda: system.package(0, 500_000))
    assert values["joules"] == pytest.approx(2.0 + 8.5 + 1.0)


def test_energy_that_may_not_be_read_is_missing(system: System) -> None:
    system.package(0, 1_000_000)
    (system.root / RAPL / "intel-rapl:0/energy_uj").unlink()
    assert "joules" not in measured(system, lambda: None)


def test_throttling_of_any_core_is_seen(system: System) -> None:
    for cpu in (0, 1):
        system.write(f"{CPUS}/cpu{cpu}/thermal_throttle/core_throttle_count", 7)
    assert measured(system, lambda: None)["throttled"] == ""
    count = f"{CPUS}/cpu1/thermal_throttle/core_throttle_count"
    assert measured(system, lambda: system.write(count, 8))["throttled"] == "thermal"
    assert measured(system, lambda: None)["throttled"] == ""


def test_throttling_before_the_start_does_not_count(system: System) -> None:
    count = f"{CPUS}/cpu0/thermal_throttle/core_throttle_count"
    system.write(count, 7)
    telemetry = system.telemetry()
    system.write(count, 8)
    telemetry.start()
    telemetry.sample()
    assert telemetry.stop()["throttled"] == ""


def test_the_highest_temperature_is_kept(system: System) -> None:
    zone = "sys/class/thermal/thermal_zone{}/temp"
    system.write(zone.format(0), 40_000)
    assert measured(system, lambda: None)["temperature_c"] == 40.0
    system.write(zone.format(1), 30_000)
    values = measured(
        system,
        lambda: system.write(zone.format(1), 71_500),
        lambda: system.write(zone.format(1), 50_000),
    )
    assert values["temperature_c"] == 71.5


def test_shares_of_the_cpus_time(system: System) -> None:
    system.ticks(user=1000, idle=1000, steal=100, own=500)
    values = measured(system, lambda: system.ticks(user=1080, idle=1010, steal=110, own=550))
    assert values["steal_share"] == pytest.approx(0.10)
    assert values["other_cpu_share"] == pytest.approx(0.30)


def test_a_process_alone_leaves_no_share_to_others(system: System) -> None:
    system.ticks()
    values = measured(system, lambda: system.ticks(user=80, idle=20, own=81))  # ticks are rounded
    assert values["other_cpu_share"] == 0.0


def test_load_is_that_of_the_last_minute(system: System) -> None:
    system.write("proc/loadavg", "1.25 0.50 0.25 1/234 567")
    assert measured(system)["load_average"] == 1.25


# The GPU


class Nvml:
    """Stands in for `pynvml`: three GPUs, whose handles are their numbers."""

    class NVMLError(Exception):
        pass

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self) -> None:
        self.open = 0
        self.asked: set[object] = set()
        self.milli_joules = [1000, 2000, 3000]
        self.reasons = 1  # idle

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{'abc'[handle]}1234"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index > 2:
            raise self.NVMLError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid != "MIG-1":
            raise self.NVMLError("Not Found")
        return 2

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        assert kind == self.NVML_CLOCK_SM
        self.asked.add(handle)
        return 1900 - 100 * handle

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:
        return 50 + handle

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: int) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self.milli_joules[handle]

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return 70_000


class OldNvml(Nvml):
    """An older module: another name for the reasons, and a GPU that counts no energy."""

    nvmlDeviceGetCurrentClocksEventReasons: Any = property()

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        return self.reasons

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        raise self.NVMLError("Not Supported")


@pytest.fixture
def nvml() -> Iterator[Nvml]:
    module = Nvml()
    yield module
    assert module.open == 0  # what was opened was closed


def on_gpu(system: System, nvml: Nvml, device: str = "gpu", seen: str | None = None) -> Values:
    variables = {} if seen is None else {"CUDA_VISIBLE_DEVICES": seen}
    telemetry = system.telemetry(device, nvml=nvml, variables=variables)
    telemetry.start()
    nvml.milli_joules = [2000, 6000, 9000]
    telemetry.sample()
    system.now += 2
    return telemetry.stop()


def test_a_gpu_tells_clock_heat_and_energy(system: System, nvml: Nvml) -> None:
    assert on_gpu(system, nvml) == {
        "seconds": 2.0,
        "clock_mhz_first": 1900.0,
        "clock_mhz_last": 1900.0,
        "clock_mhz_min": 1900.0,
        "temperature_c": 50.0,
        "throttled": "",
        "joules": 1.0,
        "watts": 0.5,
        "energy_source": "nvml",
    }


@pytest.mark.parametrize(
    ("device", "seen", "asked"),
    [
        ("gpu", None, {0}),
        ("gpu", "2", {2}),
        ("gpu", "2,1", {2}),
        ("gpu*2", None, {0, 1}),
        ("gpu*2", "2,0,1", {2, 0}),
        ("gpu", "GPU-b1234", {1}),
        ("gpu", "GPU-c", {2}),
        ("gpu", "MIG-1", {2}),
    ],
)
def test_the_gpus_are_those_that_cuda_shows(
    system: System, nvml: Nvml, device: str, seen: str | None, asked: set[int]
) -> None:
    on_gpu(system, nvml, device, seen)
    assert nvml.asked == asked


def test_several_gpus_add_up_and_the_slowest_counts(system: System, nvml: Nvml) -> None:
    values = on_gpu(system, nvml, "gpu*2")
    assert (values["joules"], values["clock_mhz_first"]) == (5.0, 1800.0)
    assert values["temperature_c"] == 51.0


def test_a_gpus_throttling_has_reasons(system: System, nvml: Nvml) -> None:
    nvml.reasons = 0x1 | 0x2 | 0x4 | 0x40  # idle and chosen clocks are none
    assert on_gpu(system, nvml)["throttled"] == "hardware thermal slowdown, power cap"


def test_an_older_nvml_gives_reasons_and_power(system: System) -> None:
    nvml = OldNvml()
    nvml.reasons = 0x20
    values = on_gpu(system, nvml, "gpu*2")
    assert values["throttled"] == "thermal slowdown"
    assert (values["joules"], values["watts"]) == (280.0, 140.0)
    assert values["energy_source"] == "nvml, mean of 1 readings of power"


def test_a_gpu_that_is_not_there_is_a_note(system: System, nvml: Nvml) -> None:
    assert on_gpu(system, nvml, seen="7") == {"seconds": 2.0, "note": "nvml: Invalid Argument"}


def test_without_nvml_there_is_a_note(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    telemetry = system.telemetry("gpu")
    telemetry.start()
    telemetry.sample()
    assert telemetry.stop() == {"seconds": 0.0, "note": "nvml: not installed"}


def test_the_real_module_has_what_is_called() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = [name for name in dir(Nvml) if name.startswith(("nvml", "NVML"))]
    assert [name for name in names if not hasattr(pynvml, name)] == []
    assert hasattr(pynvml, "nvmlDeviceGetCurrentClocksThrottleReasons")


# Concerns


FINE = {
    "throttled": "",
    "clock_mhz_first": 3000.0,
    "clock_mhz_min": 2700.0,
    "steal_share": 0.05,
    "other_cpu_share": 0.20,
}


@pytest.mark.parametrize("telemetry", [{}, FINE])
def test_a_quiet_system_is_no_concern(telemetry: dict[str, Any]) -> None:
    assert concerns(telemetry) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"throttled": "power cap"}, "The device was throttled: power cap."),
        ({"clock_mhz_min": 2400.0}, "The clock fell from 3000 to 2400 MHz (20%)."),
        ({"steal_share": 0.08}, "The hypervisor took 8% of the CPU time for other machines."),
        ({"other_cpu_share": 0.31}, "Other processes used 31% of the CPUs."),
    ],
)
def test_each_disturbance_is_named(change: dict[str, Any], text: str) -> None:
    assert concerns({**FINE, **change}) == [text]
