"""What differs between backends in a worker: threads, GPUs and memory."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from math import nan
from pathlib import Path

from cnnbench.machine.backends import TRAINING_BACKENDS, Place, kind_of, visible_gpus
from cnnbench.machine.environment import may_have_gpu, usable_cpus


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
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif backend == "jax" and threads == 1 and hasattr(os, "sched_setaffinity"):
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
    if backend not in TRAINING_BACKENDS:
        return ()  # of OpenVINO and ONNX Runtime the CPU is measured
    import torch

    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def place_of_this_process() -> Place:
    """Returns Keras' backend, `gpu` if that sees one, and how many CPUs this process may use."""
    import keras

    backend = keras.backend.backend()
    return Place(backend, "gpu" if gpus(backend) else "cpu", usable_cpus())


def reset_peak_memory(place: Place) -> None:
    """Starts a new measurement of peak memory in this process, where the system allows one."""
    if kind_of(place.device) == "cpu":
        # Not Linux, or not allowed: the peak is then that of the whole process.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    elif place.backend == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.reset_memory_stats("GPU:0")
    elif place.backend == "torch":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory_mb(place: Place) -> float:
    """Returns the peak memory in 10^6 bytes: resident set (CPU) or device memory (GPU)."""
    if kind_of(place.device) == "cpu":
        return _resident_peak() / 1e6
    if place.backend == "tensorflow":
        import tensorflow as tf

        return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6
    if place.backend == "jax":
        import jax

        return float((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", nan)) / 1e6
    import torch

    return float(torch.cuda.max_memory_allocated()) / 1e6


def _resident_peak() -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
