"""The backends by name, what installs them, and what devices are called. Loads none of them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The packages that each needs, by the names they are imported under.
PACKAGES = {
    "tensorflow": ("tensorflow",),
    "jax": ("jax",),
    "torch": ("torch",),
    "openvino": ("openvino", "onnx", "onnxruntime"),
    "onnxruntime": ("onnxruntime", "onnx"),
}
TRAINING_BACKENDS = ("tensorflow", "jax", "torch")  # Keras' own
BACKENDS = tuple(PACKAGES)  # the others run exported models
DTYPES = ("float32", "bfloat16", "float16", "int8")
_HOST_DEVICES = "--xla_force_host_platform_device_count"
_DTYPES_OF = {"openvino": DTYPES, "onnxruntime": ("float32", "int8")}


@dataclass(frozen=True)
class DeviceName:
    """A device by name: `cpu`, `gpu`, `gpu:1`; or several of a kind at once: `cpu*4`, `gpu*2`."""

    kind: Literal["cpu", "gpu"]
    index: int | None = None
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> DeviceName:
        """Reads a name.

        Raises:
            ValueError: if it is none; says what is.
        """
        kind, colon, index = text.partition(":")
        kind, star, count = (kind, "", "1") if colon else kind.partition("*")
        number = index if colon else (count if star else "1")
        good = kind in ("cpu", "gpu") and number.isdecimal() and not (colon and kind == "cpu")
        if not good or (star and int(number) < 2):
            raise ValueError("expected cpu, gpu, gpu:0, gpu:1 ..., or gpu*2, cpu*4 ... for several")
        return cls(
            "gpu" if kind == "gpu" else "cpu",
            int(index) if colon else None,
            int(count) if star else 1,
        )

    @property
    def gpus_needed(self) -> int:
        """How many GPUs a machine must have for it."""
        if self.kind == "cpu":
            return 0
        return max(self.count, (self.index or 0) + 1)


def can_run(backend: str, workload: str, device: str, dtype: str) -> bool:
    """Returns whether a backend is made for this at all; what is not is no test."""
    name = DeviceName.parse(device)
    if dtype == "int8" and workload == "train":
        return False
    if name.count > 1 and (workload != "train" or backend not in ("tensorflow", "jax")):
        return False
    if backend in TRAINING_BACKENDS:
        return True
    return workload != "train" and name.kind == "cpu" and dtype in _DTYPES_OF[backend]


def missing(backend: str) -> str | None:
    """Returns what is wrong if a backend is not installed, with the extra that installs it."""
    absent = [name for name in PACKAGES[backend] if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return (
        f"The backend {backend!r} is not installed (no {', '.join(absent)}). Install it with "
        f"pip install 'cnnbench[{backend}]'."
    )


def require_backends(backends: Iterable[str]) -> None:
    """Checks that backends are known and installed, without importing them.

    Raises:
        ValueError: if one is unknown or absent; names the extras of all that are.
    """
    problems = []
    for backend in backends:
        if backend not in BACKENDS:
            problems.append(
                f"Unknown backend. Expected one of {', '.join(BACKENDS)}. "
                f"Received: backend={backend!r}"
            )
        elif (problem := missing(backend)) is not None:
            problems.append(f"{problem} Received: backend={backend!r}")
    if problems:
        raise ValueError("\n".join(problems))


def worker_variables(backend: str, device: str, threads: int) -> dict[str, str]:
    """Returns the environment variables of a worker; they bind when the backend is imported."""
    name = DeviceName.parse(device) if device != "any" else None
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONHASHSEED": "0",
    }
    if backend in TRAINING_BACKENDS:
        variables["KERAS_BACKEND"] = backend
    if name is None:
        return variables
    if name.kind == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        own = os.environ.get("XLA_FLAGS", "").split()
        flags = [flag for flag in own if not flag.startswith(_HOST_DEVICES)]
        if threads == 1:
            flags.append("--xla_cpu_multi_thread_eigen=false")
        if name.count > 1:
            flags.append(f"{_HOST_DEVICES}={name.count}")
        if flags:
            variables["XLA_FLAGS"] = " ".join(flags)
    elif name.index is not None or name.count > 1:
        # The worker sees these GPUs alone; a list that the user set is what is counted in.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        seen = [one.strip() for one in visible.split(",") if one.strip()]
        first = name.index or 0
        chosen = range(first, first + name.count)
        names = [seen[index] if index < len(seen) else str(index) for index in chosen]
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(names)
    return variables


def version(backend: str) -> str:
    """Returns the installed backend's version."""
    for distribution in (backend, f"{backend}-cpu"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
