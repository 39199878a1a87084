import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnnbench.machine import devices
from cnnbench.machine.devices import auto_devices, gpus, peak_memory_mb, reset_peak_memory


@pytest.fixture
def may_have_gpu(monkeypatch):
    monkeypatch.setattr(devices, "may_have_gpu", lambda: True)


@pytest.mark.usefixtures("may_have_gpu")
@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("", ("cpu",)),
        ("-1", ("cpu",)),
        ("2", ("cpu", "gpu")),
        ("2,5", ("cpu", "gpu:0", "gpu:1")),
        ("0,1,2", ("cpu", "gpu:0", "gpu:1", "gpu:2")),
    ],
)
def test_the_users_list_is_counted(monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert auto_devices() == expected


@pytest.mark.parametrize("visible", [None, "0", "0,1"])
def test_where_nothing_is_a_sign_of_a_gpu_there_is_none(monkeypatch, visible):
    monkeypatch.setattr(devices, "may_have_gpu", lambda: False)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert auto_devices() == ("cpu",)


@pytest.mark.usefixtures("may_have_gpu")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), ("cpu", "gpu")),
        (("nvidia0",), ("cpu", "gpu")),
        (("nvidia0", "nvidia1"), ("cpu", "gpu:0", "gpu:1")),
        (("nvidia0", "nvidia1x"), ("cpu", "gpu")),
    ],
)
def test_device_files_are_counted(monkeypatch, files, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = [Path("/dev") / name for name in files]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(found))
    assert auto_devices() == expected


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
    high = peak_memory_mb("tensorflow", "cpu")
    del block
    reset_peak_memory("tensorflow", "cpu")
    assert peak_memory_mb("tensorflow", "cpu") < high - 100


def test_without_a_status_file_the_whole_process_counts(monkeypatch):
    def absent(self):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(devices.sys, "platform", "linux")
    assert peak_memory_mb("torch", "cpu") > 10
