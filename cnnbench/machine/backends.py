"""Backends and devices by name, what installs them, and what differs between them.

A backend is loaded by the functions that are for its workers alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from cnnbench.machine.environment import may_have_gpu, usable_cpus

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
    """Raises a `ValueError` that names each backend that is not installed."""
    problems = [
        f"{text} Received: backend={name!r}" for name in backends if (text := missing(name))
    ]
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
    """Keeps OpenVINO, if not yet imported, from starting a process that reports to a host.

    Where `openvino_telemetry` can't be imported, OpenVINO uses a stub of its own.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's "not there"


# What differs between backends in a worker, which loads its own


def auto_devices() -> tuple[str, ...]:
    """Returns the devices that this machine may have; only a backend knows for sure."""
    visible = visible_gpus()
    if not may_have_gpu() or visible in ([], ["-1"]):
        return ("cpu",)
    # NVIDIA's driver makes a file for each GPU.
    files = [path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()]
    count = len(files if visible is None else visible)
    return ("cpu", "gpu") if count < 2 else ("cpu", *(f"gpu:{index}" for index in range(count)))


def limit_threads(backend: str, threads: int) -> None:
    """Bounds the backend's threads where an environment variable does not do so."""
    if backend == "jax" and threads == 1 and hasattr(os, "sched_setaffinity"):
        # XLA's thread pool follows the CPUs that a process may use.
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[os.getpid() % len(cpus)]})
    loaded: Any = importlib.import_module(backend)
    if backend == "tensorflow":
        loaded.config.threading.set_intra_op_parallelism_threads(threads)
        loaded.config.threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        loaded.set_num_threads(threads)


def gpus(backend: str) -> tuple[str, ...]:
    """Returns the names of the GPUs that the backend itself sees."""
    if backend not in TRAINING_BACKENDS:
        return ()  # of OpenVINO and ONNX Runtime the CPU is measured
    loaded: Any = importlib.import_module(backend)
    if backend == "jax":
        return tuple(each.device_kind for each in loaded.devices() if each.platform != "cpu")
    if backend == "torch":
        return tuple(map(loaded.cuda.get_device_name, range(loaded.cuda.device_count())))
    details = loaded.config.experimental.get_device_details
    devices = loaded.config.list_physical_devices("GPU")
    return tuple(str(details(each).get("device_name", each.name)) for each in devices)


def place_of_this_process() -> Place:
    """Returns Keras' backend, `gpu` if that sees one, and how many CPUs this process may use."""
    import keras

    backend = keras.backend.backend()
    return Place(backend, "gpu" if gpus(backend) else "cpu", usable_cpus())


def reset_peak_memory(place: Place) -> None:
    """Starts a new measurement of peak memory in this process, where the system allows one."""
    if kind_of(place.device) == "cpu":
        # Not Linux, or not allowed: the peak is then that of the whole process.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        return
    loaded: Any = importlib.import_module(place.backend)
    if place.backend == "tensorflow":
        loaded.config.experimental.reset_memory_stats("GPU:0")
    elif place.backend == "torch":
        loaded.cuda.reset_peak_memory_stats()


def peak_memory_mb(place: Place) -> float:
    """Returns the peak memory in 10^6 bytes: resident set (CPU) or device memory (GPU)."""
    if kind_of(place.device) == "cpu":
        with suppress(OSError):
            if found := re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text()):
                return int(found[1]) * 1024 / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (peak if sys.platform == "darwin" else peak * 1024) / 1e6
    loaded: Any = importlib.import_module(place.backend)
    if place.backend == "tensorflow":
        return float(loaded.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6
    if place.backend == "torch":
        return float(loaded.cuda.max_memory_allocated()) / 1e6
    return float((loaded.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", nan)) / 1e6
