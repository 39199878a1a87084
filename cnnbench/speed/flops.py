"""Floating point operations of one picture, counted from the layers as the textbook does.

A multiplication and an addition are two operations. Those of convolutions and dense layers count
("model FLOPs" in Chowdhery et al., "PaLM", 2022, appendix B), padding as if it were multiplied.
Biases, activations, normalization and pooling do not: they are 2 % of the documented CNN.

Training costs the forward pass, the gradient of each layer's weights (as much again), and the
gradient of its inputs (as much again, except where nothing before it is trained): 64.6 * 10^6 for
the documented CNN. Max pooling passes the gradient to one value of each window, so that a program
that skips the zeros needs 35.8 * 10^6. No backend here does, and the larger number is the usual.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import layers

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)

# Weights that multiply one value each.
_ELEMENTWISE = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.PReLU,
)

# What multiplies in ways unknown here, though it has no weights.
_UNKNOWN = (layers.Attention, layers.Dot, layers.Lambda, layers.Wrapper)
_UNKNOWN_OPERATIONS = re.compile(
    "(Depthwise|Separable)?Conv(Transpose)?|Dot(ProductAttention)?|Einsum|Inner|Matmul|Outer|"
    "Tensordot|Vdot"
)


def inference_flops(model: keras.Model) -> float | None:
    """Counts one forward pass of one picture through a built model and the models inside it.

    Returns `None` if the operations of a layer are unknown.
    """
    return _known(sum(products for products, _ in _calls(model)))


def training_flops(model: keras.Model) -> float | None:
    """Counts one picture's share of a training step, as `inference_flops` does of inference.

    Layers that are not trainable have no weight gradient.
    """
    return _known(sum(products * (1 + gradients) for products, gradients in _calls(model)))


def _known(flops: float) -> float | None:
    return None if math.isnan(flops) else float(flops)


def _calls(model: Any, after_weights: bool = False) -> Iterator[tuple[float, int]]:
    """Yields the operations of each call of a layer, also in models inside, and its gradients.

    Of its weights, there is one if they are trained, and of its inputs, if weights are before it.
    """
    graph = getattr(model, "_functional", None) or model  # Sequential keeps one inside
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if by_depth is None:
        yield math.nan, 0
        return
    trained: set[int] = {id(x) for x in graph.inputs} if after_weights else set()
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            layer = node.operation
            is_trained = bool(getattr(layer, "trainable_weights", ()))
            after = any(id(tensor) in trained for tensor in node.input_tensors)
            if after or is_trained:
                trained |= {id(tensor) for tensor in node.outputs}
            if isinstance(layer, keras.Model):
                yield from _calls(layer, after)
            else:
                yield _products(layer, node.input_tensors, node.outputs), is_trained + after


def _products(layer: Any, tensors: Sequence[Any], outputs: Sequence[Any]) -> float:
    """Returns the operations of one forward pass through one layer; NaN if unknown."""
    if any(None in tensor.shape[1:] for tensor in (*tensors, *outputs)):
        return math.nan
    inputs, values = tensors[0].shape[1:], math.prod(outputs[0].shape[1:])
    axis = 0 if getattr(layer, "data_format", None) == "channels_first" else -1
    if isinstance(layer, layers.Dense):
        return float(2 * values * inputs[-1])
    if isinstance(layer, _CONVOLUTIONS):
        window = math.prod(layer.kernel_size) * inputs[axis] // layer.groups
        return float(2 * values * window)
    if isinstance(layer, _TRANSPOSED):
        # Every input is multiplied by the whole kernel; what falls off the edge counts as well.
        return float(2 * math.prod(inputs) * math.prod(layer.kernel_size) * layer.filters)
    if isinstance(layer, _DEPTHWISE):
        return float(2 * values * math.prod(layer.kernel_size))
    if isinstance(layer, _SEPARABLE):
        between = values // layer.filters * inputs[axis] * layer.depth_multiplier
        # Over space, then over channels.
        return float(2 * between * (math.prod(layer.kernel_size) + layer.filters))
    if isinstance(layer, _ELEMENTWISE):
        return 0
    name = type(layer).__name__
    is_unknown = isinstance(layer, _UNKNOWN) or _UNKNOWN_OPERATIONS.fullmatch(name)
    return math.nan if is_unknown or len(getattr(layer, "weights", ())) else 0
