"""Backends and devices by name, and places, where something runs. Loads no backend."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

# The packages that each needs, by the names they are imported under.
PACKAGES = {
    "tensorflow": ("tensorflow",),
    "jax": ("jax",),
    "torch": ("torch",),
    "openvino": ("openvino", "onnx", "onnxruntime"),
    "onnxruntime": ("onnxruntime", "onnx"),
}
BACKENDS = tuple(PACKAGES)
TRAINING_BACKENDS = ("tensorflow", "jax", "torch")  # Keras' own; the others run exported models
EXPORTERS = ("tensorflow", "torch")  # those of them that can export models to ONNX
DTYPES = ("float32", "bfloat16", "float16", "int8")
_DTYPES_OF = {"openvino": DTYPES, "onnxruntime": ("float32", "int8")}


@dataclass(frozen=True)
class Place:
    """Where something runs; the device is `cpu`, `gpu` or `gpu:1`, the threads a process'."""

    backend: str
    device: str
    threads: int

    def __str__(self) -> str:
        return f"{self.backend} on {self.device}"


def check_device(name: str) -> str:
    """Returns the name, or raises a `ValueError` unless it is `cpu`, `gpu` or `gpu:1`."""
    if not re.fullmatch("cpu|gpu(:[0-9]+)?", name):
        raise ValueError("expected cpu, gpu, or gpu:0, gpu:1 and so on")
    return name


def kind_of(device: str) -> str:
    """Returns `gpu` for `gpu:1`."""
    return device.partition(":")[0]


def gpus_needed(device: str) -> int:
    """Returns how many GPUs a machine must have for a device."""
    kind, _, index = device.partition(":")
    return int(index or 0) + 1 if kind == "gpu" else 0


def can_run(backend: str, workload: str, device: str, dtype: str) -> bool:
    """Returns whether a backend is made for this at all; what is not is no test."""
    if dtype == "int8" and workload == "train":
        return False
    if backend in TRAINING_BACKENDS:
        return True
    return workload != "train" and device == "cpu" and dtype in _DTYPES_OF[backend]


def missing(backend: str) -> str | None:
    """Returns what is wrong if a backend is not installed, with the extra that installs it."""
    absent = [name for name in PACKAGES[backend] if importlib.util.find_spec(name) is None]
    text = (
        f"The backend {backend!r} is not installed (no {', '.join(absent)}). In cnnbench's "
        f"clone, install it with pip install '.[{backend}]'."
    )
    return text if absent else None


def require_backends(backends: Iterable[str]) -> None:
    """Raises a `ValueError` that names each backend that is unknown or not installed."""
    unknown, problems = f"Unknown backend. Expected one of {', '.join(BACKENDS)}.", []
    for backend in backends:
        if problem := missing(backend) if backend in BACKENDS else unknown:
            problems.append(f"{problem} Received: backend={backend!r}")
    if problems:
        raise ValueError("\n".join(problems))


def worker_environment(place: Place) -> dict[str, str]:
    """Returns the environment of a worker, which binds when the backend is imported."""
    threads, (kind, _, index) = str(place.threads), place.device.partition(":")
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONHASHSEED": "0",
    }
    # Without compiled modules, each worker would compile the backend's thousands again.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    if place.backend in TRAINING_BACKENDS:
        variables["KERAS_BACKEND"] = place.backend
    if kind == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if place.threads == 1:
            own = os.environ.get("XLA_FLAGS", "")
            variables["XLA_FLAGS"] = f"{own} --xla_cpu_multi_thread_eigen=false".strip()
    elif index:
        # The worker sees this GPU alone, counted in the list that the user set, if there is one.
        listed = dict(enumerate(visible_gpus() or ()))
        variables["CUDA_VISIBLE_DEVICES"] = listed.get(int(index), index)
    return variables


def visible_gpus() -> list[str] | None:
    """Returns the GPUs that the user lets CUDA see; `None`: all."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if text is None else [one.strip() for one in text.split(",") if one.strip()]


def switch_off_telemetry() -> None:
    """Keeps OpenVINO from reporting its use to a host; comes before anything imports OpenVINO.

    Importing it would start a process that reports, and write an id into the user's home. Where
    `openvino_telemetry` can't be imported, OpenVINO uses a stub of its own.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's "not there"
