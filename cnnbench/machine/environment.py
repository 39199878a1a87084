"""Machine, devices, packages, threads and commit: the identity of a run.

No host name, user name or absolute path is among them, so that a report can be given away.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

PACKAGES = [
    "cnnbench",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "jaxlib",
    "torch",
    "openvino",
    "onnxruntime",
    "onnx",
    "tf2onnx",
    "nvidia-ml-py",
    "numpy",
    "pillow",
    "pandas",
    "pytest",
    "pytest-benchmark",
]
# Of environment variables that change what backends do.
FLAG_PREFIXES = ("TF_", "XLA_", "KERAS_", "CUDA_", "OMP_", "MKL_", "ONEDNN_", "JAX_", "TORCH_")
# Files of NVIDIA's, AMD's and WSL's drivers.
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


def describe(root: Path) -> dict[str, Any]:
    """Returns the identity of a run started in `root`, as plain data."""
    commit, dirty = git_state(root)
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "system": platform.system(),
            "release": platform.release(),
            "architecture": platform.machine(),
            "cpu": cpu_model(),
            "logical_cpus": usable_cpus(),
            "physical_cpus": psutil.cpu_count(logical=False),
            "memory_mb": round(psutil.virtual_memory().total / 1e6),
        },
        "python": platform.python_version(),
        "packages": _packages(),
        "flags": {
            # Each path is left out, up to the next flag.
            name: re.sub(r"[/\\~].*?(?=\s--|$)", "<path>", value, flags=re.DOTALL)
            for name, value in sorted(os.environ.items())
            if name.startswith(FLAG_PREFIXES)
        },
        "commit": commit,
        "dirty": dirty,
    }


def usable_cpus() -> int:
    """Returns how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Returns the processor's name, or its architecture where the system does not report it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    named = re.search(r"^model name\s*: *(.*)$", text, flags=re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Returns the short commit of the checkout that holds `root`, and whether it has changes."""
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    if not commit:
        return None, None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None  # no git here: the run then has no commit
    return done.stdout.strip() if done.returncode == 0 else None


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def may_have_gpu() -> bool:
    """Returns whether this machine shows any sign of a GPU.

    Only a backend knows for sure, and asking it takes seconds.
    """
    return sys.platform == "darwin" or any(map(os.path.exists, GPU_FILES))
