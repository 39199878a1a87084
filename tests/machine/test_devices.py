import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnbench.machine import devices
from cnnbench.machine.devices import auto_devices, gpus, peak_memory_mb, reset_peak_memory
from cnnbench.machine.place import Place

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


def test_jax_names_its_gpus(monkeypatch):
    seen = [SimpleNamespace(device_kind="H", platform="gpu"), SimpleNamespace(platform="cpu")]
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: seen))
    assert gpus("jax") == ("H",)


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
