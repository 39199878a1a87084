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
    from cnnbench import checks as checks
    from cnnbench.comparing.ratio_views import compare_speeds as compare_speeds
    from cnnbench.models.evaluation import evaluate as evaluate
    from cnnbench.models.network import build_model as build_model
    from cnnbench.models.variants import VARIANTS as VARIANTS
    from cnnbench.models.variants import Variant as Variant
    from cnnbench.pictures.data_set import Splits as Splits
    from cnnbench.pictures.data_set import load_splits as load_splits
    from cnnbench.records.records import Measurement as Measurement
    from cnnbench.records.records import TrainingRun as TrainingRun
    from cnnbench.report.frames import Report as Report
    from cnnbench.report.frames import load_report as load_report
    from cnnbench.speed.throughput import measure as measure
    from cnnbench.training.classifier import load_classifier as load_classifier
    from cnnbench.training.classifier import predict as predict
    from cnnbench.training.classifier import save as save
    from cnnbench.training.protocols import Protocol as Protocol
    from cnnbench.training.train import Trained as Trained
    from cnnbench.training.train import train as train

__version__ = "0.1.0"

_NAMES = {
    "comparing.ratio_views": ["compare_speeds"],
    "models.evaluation": ["evaluate"],
    "models.network": ["build_model"],
    "models.variants": ["VARIANTS", "Variant"],
    "pictures.data_set": ["Splits", "load_splits"],
    "records.records": ["Measurement", "TrainingRun"],
    "report.frames": ["Report", "load_report"],
    "speed.throughput": ["measure"],
    "training.classifier": ["load_classifier", "predict", "save"],
    "training.protocols": ["Protocol"],
    "training.train": ["Trained", "train"],
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(["checks", *_HOMES])


def __getattr__(name: str) -> Any:
    if name == "checks":
        return importlib.import_module("cnnbench.checks")
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cnnbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
