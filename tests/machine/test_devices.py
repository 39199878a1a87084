import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnbench.machine import devices
from cnnbench.machine.backends import Place
from cnnbench.machine.devices import auto_devices, gpus, peak_memory_mb, reset_peak_memory

PLACE = Place("tensorflow", "cpu", 1)


@pytest.mark.parametrize(
    ("visible", "files", "expected"),
    [
        ("", 0, ("cpu",)),
        ("-1", 2, ("cpu",)),
        ("2", 2, ("cpu", "gpu")),
        ("2,5", 0, ("cpu", "gpu:0", "gpu:1")),
        (None, 0, ("cpu", "gpu")),
        (None, 1, ("cpu", "gpu")),
        (None, 2, ("cpu", "gpu:0", "gpu:1")),
    ],
)
@pytest.mark.parametrize("may", [True, False])
def test_devices_are_counted_in_the_users_list_or_in_files(
    monkeypatch, visible, files, expected, may
):
    monkeypatch.setattr(devices, "may_have_gpu", lambda: may)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [Path(f"/dev/nvidia{name}") for name in [*range(files), "0x"]]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(found))
    assert auto_devices() == (expected if may else ("cpu",))


def test_exported_models_see_no_gpu():
    assert gpus("openvino") == gpus("onnxruntime") == ()


RESETS: list[str] = []
MODULES = {  # of backends with a GPU whose peak is 5 MB
    "jax": SimpleNamespace(
        devices=lambda: [
            SimpleNamespace(
                device_kind="H", platform="gpu", memory_stats=lambda: {"peak_bytes_in_use": 5e6}
            ),
            SimpleNamespace(platform="cpu"),
        ]
    ),
    "tensorflow": SimpleNamespace(
        config=SimpleNamespace(
            list_physical_devices=lambda kind: [SimpleNamespace(name=kind)],
            experimental=SimpleNamespace(
                get_device_details=lambda device: {"device_name": "H"},
                reset_memory_stats=RESETS.append,
                get_memory_info=lambda name: {"peak": 5e6},
            ),
        )
    ),
    "torch": SimpleNamespace(
        cuda=SimpleNamespace(
            device_count=lambda: 1,
            get_device_name=lambda index: "H",
            reset_peak_memory_stats=lambda: RESETS.append("all"),
            max_memory_allocated=lambda: 5_000_000,
        )
    ),
}


@pytest.mark.parametrize(
    ("backend", "expected"), [("jax", []), ("tensorflow", ["GPU:0"]), ("torch", ["all"])]
)
def test_backends_name_their_gpus_and_the_memory_used(monkeypatch, backend, expected):
    RESETS.clear()
    monkeypatch.setitem(sys.modules, backend, MODULES[backend])
    assert gpus(backend) == ("H",)
    place = Place(backend, "gpu:1", 1)
    reset_peak_memory(place)
    assert peak_memory_mb(place) == 5.0
    assert expected == RESETS


def test_peak_memory_starts_anew():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell")
    block = bytearray(b"1" * 200_000_000)
    high = peak_memory_mb(PLACE)
    del block
    reset_peak_memory(PLACE)
    assert peak_memory_mb(PLACE) < high - 100


def test_without_a_status_file_the_whole_process_counts(monkeypatch):
    def absent(self):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(devices.sys, "platform", "linux")
    assert peak_memory_mb(PLACE) > 10
