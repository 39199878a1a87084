import pytest

from cnnbench.machine import backends
from cnnbench.machine.backends import (
    BACKENDS,
    DTYPES,
    Place,
    can_run,
    check_device,
    gpus_needed,
    kind_of,
    missing,
    require_backends,
    worker_environment,
)


@pytest.mark.parametrize(
    ("device", "kind", "needed"),
    [("cpu", "cpu", 0), ("gpu", "gpu", 1), ("gpu:0", "gpu", 1), ("gpu:3", "gpu", 4)],
)
def test_a_device_has_a_kind_and_needs_gpus(device, kind, needed):
    check_device(device)
    assert (kind_of(device), gpus_needed(device)) == (kind, needed)


@pytest.mark.parametrize("name", ["", "tpu", "GPU", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "gpu:1 "])
def test_what_is_no_device_says_what_is(name):
    with pytest.raises(ValueError, match="expected cpu, gpu, or gpu:0"):
        check_device(name)


@pytest.mark.parametrize("device", ["cpu", "gpu", "gpu:1"])
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_kerass_backends_train_and_infer(backend, device):
    for dtype in DTYPES:
        assert can_run(backend, "inference", device, dtype)
        assert can_run(backend, "train", device, dtype) == (dtype != "int8")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_exported_models_infer_on_a_cpu(backend):
    assert can_run(backend, "inference", "cpu", "float32")
    assert can_run(backend, "inference", "cpu", "int8")
    assert not can_run(backend, "train", "cpu", "float32")
    assert not can_run(backend, "inference", "gpu", "float32")
    assert can_run(backend, "inference", "cpu", "bfloat16") == (backend == "openvino")


def test_every_backend_that_cant_be_used_is_named_with_the_extra_that_installs_it(monkeypatch):
    installed = {"tensorflow", "onnx"}
    monkeypatch.setattr(
        backends.importlib.util, "find_spec", lambda name: name if name in installed else None
    )
    require_backends(["tensorflow"])
    assert missing("tensorflow") is None
    with pytest.raises(ValueError, match="Unknown backend") as caught:
        require_backends(["theano", "tensorflow", "openvino"])
    assert str(caught.value).splitlines() == [
        "Unknown backend. Expected one of tensorflow, jax, torch, openvino, onnxruntime. "
        "Received: backend='theano'",
        "The backend 'openvino' is not installed (no openvino, onnxruntime). In cnnbench's clone, "
        "install it with pip install '.[openvino]'. Received: backend='openvino'",
    ]


# The environment of a worker


@pytest.fixture(autouse=True)
def own_variables(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cpu_worker_sees_no_gpu_and_so_many_threads(monkeypatch, backend):
    monkeypatch.setenv("MINE", "kept")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    found = worker_environment(Place(backend, "cpu", 2))
    assert (found["CUDA_VISIBLE_DEVICES"], found["JAX_PLATFORMS"]) == ("-1", "cpu")
    assert (found["OMP_NUM_THREADS"], found["TF_NUM_INTRAOP_THREADS"]) == ("2", "2")
    assert found["MINE"] == "kept"
    assert not {"XLA_FLAGS", "PYTHONDONTWRITEBYTECODE"}.intersection(found)


def test_keras_gets_its_own_backends_alone(monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND")
    assert worker_environment(Place("jax", "cpu", 1))["KERAS_BACKEND"] == "jax"
    assert "KERAS_BACKEND" not in worker_environment(Place("openvino", "cpu", 1))


def test_flags_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=d")
    found = worker_environment(Place("jax", "cpu", 1))["XLA_FLAGS"]
    assert found == "--xla_dump_to=d --xla_cpu_multi_thread_eigen=false"


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
    found = worker_environment(Place("torch", device, 1))
    assert found.get("CUDA_VISIBLE_DEVICES") == expected
