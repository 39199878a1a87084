import sys
from pathlib import Path
from unittest.mock import MagicMock, call

import pytest

from cnnbench.machine import backends
from cnnbench.machine.backends import Place

PLACE = Place("tensorflow", "cpu", 1)


@pytest.mark.parametrize(
    ("device", "kind", "needed"),
    [("cpu", "cpu", 0), ("gpu", "gpu", 1), ("gpu:0", "gpu", 1), ("gpu:3", "gpu", 4)],
)
def test_a_device_has_a_kind_and_needs_gpus(device, kind, needed):
    backends.check_device(device)
    assert (backends.kind_of(device), backends.gpus_needed(device)) == (kind, needed)


@pytest.mark.parametrize("name", ["", "tpu", "GPU", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "gpu:1 "])
def test_what_is_no_device_says_what_is(name):
    with pytest.raises(ValueError, match="expected cpu, gpu, or gpu:0"):
        backends.check_device(name)


@pytest.mark.parametrize("device", ["cpu", "gpu", "gpu:1"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_kerass_backends_train_and_infer(backend, device):
    for dtype in backends.DTYPES:
        assert backends.can_run(backend, "inference", device, dtype)
        assert backends.can_run(backend, "train", device, dtype) == (dtype != "int8")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_exported_models_infer_on_a_cpu(backend):
    assert backends.can_run(backend, "inference", "cpu", "float32")
    assert backends.can_run(backend, "inference", "cpu", "int8")
    assert not backends.can_run(backend, "train", "cpu", "float32")
    assert not backends.can_run(backend, "inference", "gpu", "float32")
    assert backends.can_run(backend, "inference", "cpu", "bfloat16") == (backend == "openvino")


def test_every_backend_that_cant_be_used_is_named_with_the_extra_that_installs_it(monkeypatch):
    installed = {"tensorflow", "onnx"}
    monkeypatch.setattr(
        backends.importlib.util, "find_spec", lambda name: name if name in installed else None
    )
    backends.require_backends(["tensorflow"])
    assert backends.missing("tensorflow") is None
    with pytest.raises(ValueError, match="not installed") as caught:
        backends.require_backends(["jax", "tensorflow", "openvino"])
    first, text = str(caught.value).splitlines()
    assert first.endswith("install it with pip install '.[jax]'. Received: backend='jax'")
    assert text == (
        "The backend 'openvino' is not installed (no openvino, onnxruntime). In cnnbench's clone, "
        "install it with pip install '.[openvino]'. Received: backend='openvino'"
    )


@pytest.fixture(autouse=True)
def own_variables(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_a_cpu_worker_sees_no_gpu_and_so_many_threads(monkeypatch, backend):
    monkeypatch.setenv("MINE", "kept")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = backends.worker_environment(Place(backend, "cpu", 2))
    assert (found["CUDA_VISIBLE_DEVICES"], found["JAX_PLATFORMS"]) == ("-1", "cpu")
    assert (found["OMP_NUM_THREADS"], found["TF_NUM_INTRAOP_THREADS"]) == ("2", "2")
    assert found["MINE"] == "kept"
    assert not {"XLA_FLAGS", "PYTHONDONTWRITEBYTECODE"}.intersection(found)


def test_keras_gets_its_own_backends_alone_and_xla_the_users_flags(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=d")
    found = backends.worker_environment(Place("jax", "cpu", 1))
    assert found["KERAS_BACKEND"] == "jax"
    assert found["XLA_FLAGS"] == "--xla_dump_to=d --xla_cpu_multi_thread_eigen=false"
    assert "KERAS_BACKEND" not in backends.worker_environment(Place("openvino", "cpu", 1))


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, "gpu", None),
        ("3,5", "gpu", "3,5"),
        (None, "gpu:0", "0"),
        (None, "gpu:1", "1"),
        ("3,5", "gpu:1", "5"),
        (" GPU-a , GPU-b ", "gpu:0", "GPU-a"),
    ],
)
def test_a_gpu_is_counted_in_what_the_user_lets_it_see(monkeypatch, visible, device, expected):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = backends.worker_environment(Place("torch", device, 1))
    assert found.get("CUDA_VISIBLE_DEVICES") == expected


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
def test_devices_are_counted_in_a_list_or_in_files(monkeypatch, visible, files, expected, may):
    monkeypatch.setattr(backends, "may_have_gpu", lambda: may)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = [Path(f"/dev/nvidia{name}") for name in [*range(files), "0x"]]
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(found))
    assert backends.auto_devices() == (expected if may else ("cpu",))


def test_exported_models_see_no_gpu():
    assert backends.gpus("openvino") == backends.gpus("onnxruntime") == ()


@pytest.fixture
def module():
    """Any backend, with a GPU called H whose peak is 5 MB."""
    module = MagicMock()
    tensorflow, gpu = module.config, MagicMock(device_kind="H")
    gpu.memory_stats.return_value = {"peak_bytes_in_use": 5e6}
    module.devices.return_value = [gpu, MagicMock(platform="cpu")]
    tensorflow.list_physical_devices.return_value = [gpu]
    tensorflow.experimental.get_device_details.return_value = {"device_name": "H"}
    tensorflow.experimental.get_memory_info.return_value = {"peak": 5e6}
    module.cuda.device_count.return_value = 1
    module.cuda.get_device_name.return_value = "H"
    module.cuda.max_memory_allocated.return_value = 5_000_000
    return module


@pytest.mark.parametrize(
    ("backend", "resets"),
    [
        ("jax", []),
        ("tensorflow", [call.config.experimental.reset_memory_stats("GPU:0")]),
        ("torch", [call.cuda.reset_peak_memory_stats()]),
    ],
)
def test_backends_name_their_gpus_and_the_memory_used(monkeypatch, module, backend, resets):
    monkeypatch.setitem(sys.modules, backend, module)
    assert backends.gpus(backend) == ("H",)
    place = Place(backend, "gpu:1", 1)
    backends.reset_peak_memory(place)
    assert backends.peak_memory_mb(place) == 5.0
    assert [one for one in module.mock_calls if "reset" in one[0]] == resets


def test_peak_memory_starts_anew():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system reports no peak that can start anew")
    block = bytearray(b"1" * 200_000_000)
    high = backends.peak_memory_mb(PLACE)
    del block
    backends.reset_peak_memory(PLACE)
    assert backends.peak_memory_mb(PLACE) < high - 100


def test_without_a_status_file_the_whole_process_counts(monkeypatch):
    monkeypatch.setattr(Path, "read_text", MagicMock(side_effect=FileNotFoundError))
    monkeypatch.setattr(backends.sys, "platform", "linux")
    assert backends.peak_memory_mb(PLACE) > 10
