"""Benchmarks and accuracy gates for Keras CNNs, as a pytest plugin and a library.

Importing this package loads no Keras, no backend and no pandas: public names are
looked up when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnbench.comparing.ratio_frame import compare_speeds
    from cnnbench.models.network import build_model
    from cnnbench.models.variants import VARIANTS, Variant
    from cnnbench.pictures.load import Splits, load_splits
    from cnnbench.report.frames import Report, load_report
    from cnnbench.training.train import train

__version__ = "0.1.0"

__all__ = [
    "VARIANTS",
    "Report",
    "Splits",
    "Variant",
    "build_model",
    "compare_speeds",
    "load_report",
    "load_splits",
    "train",
]

_HOMES = {
    "VARIANTS": "cnnbench.models.variants",
    "Report": "cnnbench.report.frames",
    "Splits": "cnnbench.pictures.load",
    "Variant": "cnnbench.models.variants",
    "build_model": "cnnbench.models.network",
    "compare_speeds": "cnnbench.comparing.ratio_frame",
    "load_report": "cnnbench.report.frames",
    "load_splits": "cnnbench.pictures.load",
    "train": "cnnbench.training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
