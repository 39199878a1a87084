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
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    ("cnnbench", "keras", "numpy", "pandas", "pillow", "pytest", "pytest-benchmark"),
    ("tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch", "nvidia-ml-py"),
    ("openvino", "onnxruntime", "onnx", "tf2onnx"),
)
# Of environment variables that change what backends do.
FLAG_PREFIXES = ("TF_", "XLA_", "KERAS_", "CUDA_", "OMP_", "MKL_", "ONEDNN_", "JAX_", "TORCH_")
# Set inside a git hook, where they would point git at another checkout.
HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")
# Files of NVIDIA's, AMD's and WSL's drivers.
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


def describe(root: Path) -> dict[str, Any]:
    """Returns the identity of a run started in `root`, as plain data."""
    commit, dirty = git_state(root)
    packages = {}
    for name in chain.from_iterable(PACKAGES):
        with suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
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
        "packages": packages,
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
    can_say = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if can_say else os.cpu_count() or 1


def cpu_model() -> str:
    """Returns the processor's name, or its architecture where the system does not report it."""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        if named := re.search(r"^model name\s*: *(.*)$", text, flags=re.MULTILINE):
            return named[1]
    return platform.processor() or platform.machine()


def git_state(root: Path) -> tuple[str | None, bool | None]:
    """Returns the short commit of the checkout that holds `root`, and whether it has changes."""
    commit = dirty = None
    with suppress(OSError, subprocess.TimeoutExpired):  # there may be no git, or no commit
        commit = git(root, "rev-parse", "--short=10", "HEAD", timeout=20)
        changes = git(root, "status", "--porcelain", "--untracked-files=no", timeout=20)
        dirty = bool(changes)
    return commit, dirty


def git(folder: Path, *arguments: str, timeout: float | None = None) -> str:
    """Runs git and returns what it prints; the message of an `OSError` has what it complains of."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        env={name: text for name, text in os.environ.items() if name not in HOOK_VARIABLES},
        timeout=timeout,
    )
    if done.returncode != 0:
        raise OSError(f"git failed: {done.stderr.strip()}. Received: {' '.join(arguments)}")
    return done.stdout.strip()


def may_have_gpu() -> bool:
    """Returns whether there is any sign of a GPU; only a backend knows, and needs seconds."""
    return sys.platform == "darwin" or any(map(os.path.exists, GPU_FILES))
