"""Keras' own int8: dense layers multiply in int8, convolutions stay as they were.

Keras has no int8 convolution, so its int8 models are partly float32, and `compute_dtypes` says so;
OpenVINO's and ONNX Runtime's are int8 throughout (`exporting.quantize_onnx`).
"""

from __future__ import annotations

import warnings

import keras

KERNELS = ("kernel", "embeddings")  # Keras' names of what layers multiply with


def quantize_int8(model: keras.Model) -> None:
    """Quantizes what Keras can of a model, in place, for inference.

    Weights get one scale an output unit; each picture's activations are scaled anew in each call,
    so that no calibration is needed.

    Args:
        model: built; on any of Keras' backends.

    Raises:
        ValueError: if the model is not built, is quantized already or has no layer that Keras
            can quantize.
    """
    if not model.built:
        raise ValueError(
            f"A model must be built before it is quantized. Received: model={model.name!r}"
        )
    if before := _int8_layers(model):
        raise ValueError(
            f"The model is in int8 already. Expected one in float32. "
            f"Received: model={model.name!r}, int8 layers={', '.join(before)}"
        )
    with warnings.catch_warnings():
        # One for each kind of layer without weights, and for convolutions: see `compute_dtypes`.
        warnings.filterwarnings("ignore", message=".*does not have a `quantize` method")
        # Keras' scales on their way from a tensor to NumPy 2
        warnings.filterwarnings("ignore", message="__array__ implementation doesn't accept a copy")
        model.quantize("int8")
    if not _int8_layers(model):
        kinds = sorted({type(layer).__name__ for layer in _with_kernels(model)})
        raise ValueError(
            "Keras has no layer of this model to quantize: it needs a Dense, EinsumDense or "
            f"Embedding layer. Received: model={model.name!r}, layers={', '.join(kinds) or 'none'}"
        )


def compute_dtypes(model: keras.Model) -> tuple[str, ...]:
    """Returns the dtypes in which a model's dense and convolutional layers multiply, sorted.

    They are read off the kernels: an int8 kernel is multiplied in int8, any other one in the
    layer's own dtype.
    """
    return tuple(sorted({_multiplies_in(layer) for layer in _with_kernels(model)}))


def _int8_layers(model: keras.Model) -> tuple[str, ...]:
    return tuple(layer.name for layer in _with_kernels(model) if _multiplies_in(layer) == "int8")


def _with_kernels(model: keras.Model) -> list[keras.Layer]:
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if _kernel(layer) is not None]


def _kernel(layer: keras.Layer) -> keras.Variable | None:
    """Returns the variable that a layer itself holds; `layer.kernel` may undo the scaling."""
    own = (*layer._trainable_variables, *layer._non_trainable_variables)
    return next((variable for variable in own if variable.name in KERNELS), None)


def _multiplies_in(layer: keras.Layer) -> str:
    kernel = _kernel(layer)
    stored = "" if kernel is None else keras.backend.standardize_dtype(kernel.dtype)
    return "int8" if stored == "int8" else str(layer.compute_dtype)
