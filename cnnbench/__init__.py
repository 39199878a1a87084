"""Benchmarks and accuracy gates for Keras CNNs, as a pytest plugin and a library.

    import cnnbench

    splits = cnnbench.load_splits("pets")
    trained = cnnbench.train("documented", splits, seed=0)
    trained.run.val_accuracy, trained.model.summary()

Pictures and models:
    load_splits      a folder of pictures as a data set, decoded and split
    Splits           what it returns
    VARIANTS         the variants by name
    Variant          a named configuration of the CNN
    build_model      a variant's Keras model, compiled and not trained

Training:
    train            trains a variant under a seed and returns record and model
    Trained          what it returns: `run` and `model`
    TrainingRun      the record of a training
    Protocol         epochs, steps and batch size of a training
    evaluate         accuracy and loss of a model on both sides of a data set
    save             saves a trained classifier in a folder
    load_classifier  a saved classifier, with its Keras model
    predict          classifies picture files with a saved classifier
    checks           a module: the checks of the suites as functions

Speed and reports:
    measure          throughput and latency of a variant in this process
    Measurement      what it returns: `images_per_second` and raw seconds
    compare_speeds   ratios of speed between reports
    load_report      the tables of a report folder as DataFrames
    Report           what it returns

Importing this package loads no Keras, no backend and no pandas: names are looked up
when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnbench import checks
    from cnnbench.comparing.ratio_views import compare_speeds
    from cnnbench.models.evaluation import evaluate
    from cnnbench.models.network import build_model
    from cnnbench.models.variants import VARIANTS, Variant
    from cnnbench.pictures.data_set import Splits, load_splits
    from cnnbench.records.records import Measurement, TrainingRun
    from cnnbench.report.frames import Report, load_report
    from cnnbench.speed.throughput import measure
    from cnnbench.training.classifier import load_classifier, predict, save
    from cnnbench.training.protocols import Protocol
    from cnnbench.training.train import Trained, train

__version__ = "0.1.0"

__all__ = [
    "VARIANTS",
    "Measurement",
    "Protocol",
    "Report",
    "Splits",
    "Trained",
    "TrainingRun",
    "Variant",
    "build_model",
    "checks",
    "compare_speeds",
    "evaluate",
    "load_classifier",
    "load_report",
    "load_splits",
    "measure",
    "predict",
    "save",
    "train",
]

_HOMES = {
    "VARIANTS": "models.variants",
    "Measurement": "records.records",
    "Protocol": "training.protocols",
    "Report": "report.frames",
    "Splits": "pictures.data_set",
    "Trained": "training.train",
    "TrainingRun": "records.records",
    "Variant": "models.variants",
    "build_model": "models.network",
    "compare_speeds": "comparing.ratio_views",
    "evaluate": "models.evaluation",
    "load_classifier": "training.classifier",
    "load_report": "report.frames",
    "load_splits": "pictures.data_set",
    "measure": "speed.throughput",
    "predict": "training.classifier",
    "save": "training.classifier",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'cnnbench' has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"cnnbench.{name}")
    return getattr(importlib.import_module(f"cnnbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
