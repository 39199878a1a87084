import pytest

from cnnbench.machine import backends
from cnnbench.machine.backends import (
    BACKENDS,
    DTYPES,
    can_run,
    check_device,
    gpus_needed,
    kind_of,
    missing,
    require_backends,
    worker_variables,
)


@pytest.fixture
def installed(monkeypatch):
    """Says which packages can be imported."""

    def only(*names):
        monkeypatch.setattr(
            backends.importlib.util, "find_spec", lambda name: name if name in names else None
        )

    return only


# Devices


@pytest.mark.parametrize(
    ("device", "kind", "needed"),
    [("cpu", "cpu", 0), ("gpu", "gpu", 1), ("gpu:0", "gpu", 1), ("gpu:3", "gpu", 4)],
)
def test_a_device_has_a_kind_and_needs_gpus(device, kind, needed):
    check_device(device)
    assert (kind_of(device), gpus_needed(device)) == (kind, needed)


@pytest.mark.parametrize(
    "name", ["", "tpu", "GPU", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "gpu:1 ", "gpu*2", "cpu*4"]
)
def test_what_is_no_device_says_what_is(name):
    with pytest.raises(ValueError, match="expected cpu, gpu, or gpu:0"):
        check_device(name)


# What can be measured


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("device", ["cpu", "gpu", "gpu:1"])
def test_kerass_backends_train_and_infer(backend, device):
    for dtype in DTYPES:
        assert can_run(backend, "inference", device, dtype)
        assert can_run(backend, "train", device, dtype) == (dtype != "int8")


def test_exported_models_infer_on_a_cpu():
    for backend in ("openvino", "onnxruntime"):
        assert can_run(backend, "inference", "cpu", "float32")
        assert can_run(backend, "inference", "cpu", "int8")
        assert not can_run(backend, "train", "cpu", "float32")
        assert not can_run(backend, "inference", "gpu", "float32")
    assert can_run("openvino", "inference", "cpu", "bfloat16")
    assert not can_run("onnxruntime", "inference", "cpu", "bfloat16")


# What is installed


def test_what_is_missing_names_the_extra(installed):
    installed("onnx")
    assert missing("openvino") == (
        "The backend 'openvino' is not installed (no openvino, onnxruntime). In cnnbench's clone, "
        "install it with pip install '.[openvino]'."
    )


def test_what_is_installed_is_not_missing(installed):
    installed("jax", "onnx", "onnxruntime")
    assert missing("jax") is missing("onnxruntime") is None


def test_every_problem_is_told_at_once(installed):
    installed("tensorflow")
    with pytest.raises(ValueError, match="Unknown backend") as caught:
        require_backends(["theano", "tensorflow", "jax", "torch"])
    lines = str(caught.value).splitlines()
    assert [line.split("Received: ")[1] for line in lines] == [
        "backend='theano'",
        "backend='jax'",
        "backend='torch'",
    ]
    assert "Expected one of tensorflow, jax, torch, openvino, onnxruntime" in lines[0]
    assert "pip install '.[jax]'" in lines[1]


def test_backends_that_are_there_are_no_problem(installed):
    installed("tensorflow")
    require_backends(["tensorflow"])


# Variables of a worker


@pytest.fixture(autouse=True)
def own_variables(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("XLA_FLAGS", raising=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cpu_worker_sees_no_gpu_and_so_many_threads(backend):
    found = worker_variables(backend, "cpu", 2)
    assert (found["CUDA_VISIBLE_DEVICES"], found["JAX_PLATFORMS"]) == ("-1", "cpu")
    assert (found["OMP_NUM_THREADS"], found["TF_NUM_INTRAOP_THREADS"]) == ("2", "2")
    assert "XLA_FLAGS" not in found


def test_keras_is_told_of_its_own_backends_alone():
    assert worker_variables("jax", "cpu", 1)["KERAS_BACKEND"] == "jax"
    assert "KERAS_BACKEND" not in worker_variables("openvino", "cpu", 1)


def test_flags_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=d")
    found = worker_variables("jax", "cpu", 1)["XLA_FLAGS"]
    assert found == "--xla_dump_to=d --xla_cpu_multi_thread_eigen=false"


def test_a_worker_of_all_gpus_sees_what_the_user_lets_it_see():
    assert "CUDA_VISIBLE_DEVICES" not in worker_variables("jax", "gpu", 2)


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, "gpu:0", "0"),
        (None, "gpu:1", "1"),
        ("3,5", "gpu:1", "5"),
        (" GPU-a , GPU-b ", "gpu:0", "GPU-a"),
    ],
)
def test_a_gpu_is_counted_in_what_the_user_lets_it_see(monkeypatch, visible, device, expected):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert worker_variables("torch", device, 1)["CUDA_VISIBLE_DEVICES"] == expected
