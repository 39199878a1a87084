"""What differs between Keras' backends: devices, threads and memory. Used in workers."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import resource
import sys
from pathlib import Path

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def require_backend(backend: str) -> None:
    """Checks that a backend is known and installed, without importing it.

    Raises:
        ValueError: if it is unknown or absent; the message names the extra.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f"Unknown backend. Expected one of {', '.join(BACKENDS)}. Received: backend={backend!r}"
        )
    if importlib.util.find_spec(BACKENDS[backend]) is None:
        raise ValueError(
            f"The backend {backend!r} is not installed. Install it with "
            f"pip install 'cnnbench[{backend}]'. Received: backend={backend!r}"
        )


def worker_variables(backend: str, device: str, threads: int) -> dict[str, str]:
    """Returns the environment variables of a worker; they bind when the backend is imported."""
    variables = {
        "KERAS_BACKEND": backend,
        "OMP_NUM_THREADS": str(threads),
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONHASHSEED": "0",
    }
    if device == "cpu":
        variables |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
        if threads == 1:
            flags = os.environ.get("XLA_FLAGS", "")
            single = "--xla_cpu_multi_thread_eigen=false"
            variables["XLA_FLAGS"] = f"{flags} {single}".strip()
    return variables


def limit_threads(backend: str, threads: int) -> None:
    """Bounds the backend's threads where an environment variable does not do so."""
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif threads == 1 and hasattr(os, "sched_setaffinity"):
        # XLA's thread pool follows the CPUs that a process may use.
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[os.getpid() % len(cpus)]})


def gpus(backend: str) -> tuple[str, ...]:
    """Returns the names of the GPUs that the backend itself sees."""
    if backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        return tuple(
            str(tf.config.experimental.get_device_details(d).get("device_name", d.name))
            for d in devices
        )
    if backend == "jax":
        import jax

        return tuple(d.device_kind for d in jax.devices() if d.platform != "cpu")
    import torch

    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def version(backend: str) -> str:
    """Returns the installed backend's version."""
    for distribution in (BACKENDS[backend], f"{BACKENDS[backend]}-cpu"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def reset_peak_memory(backend: str, device: str) -> None:
    """Starts a new measurement of peak memory, where the system allows one."""
    if device == "cpu":
        # Not Linux, or not allowed: the peak is then that of the whole process.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    elif backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")
    elif backend == "torch":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory_mb(backend: str, device: str) -> float:
    """Returns the peak memory in 10^6 bytes: resident set (CPU) or device memory (GPU)."""
    if device != "cpu":
        return _device_peak_bytes(backend) / 1e6
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _device_peak_bytes(backend: str) -> float:
    if backend == "tensorflow":
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    if backend == "jax":
        import jax

        return float((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", float("nan")))
    import torch

    return float(torch.cuda.max_memory_allocated())
