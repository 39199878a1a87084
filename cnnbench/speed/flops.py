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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Call:
    """A call of a layer: shapes without the batch, and whether its inputs depend on weights."""

    layer: Any
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    after_weights: bool


def inference_flops(model: keras.Model) -> float | None:
    """Counts one forward pass of one picture.

    Args:
        model: built, `Sequential` or functional; models inside it are counted too.

    Returns:
        Floating point operations, or `None` if those of a layer are unknown.
    """
    return _sum((call, 1) for call in _calls(model))


def training_flops(model: keras.Model) -> float | None:
    """Counts one picture's share of a training step, as `inference_flops` does of inference.

    Layers that are not trainable have no weight gradient.
    """
    return _sum((call, 1 + _is_trained(call.layer) + call.after_weights) for call in _calls(model))


def _sum(passes: Iterator[tuple[_Call, int]]) -> float | None:
    counts = [(_products(call), times) for call, times in passes]
    known = [products * times for products, times in counts if products is not None]
    return sum(known) if len(known) == len(counts) else None


def _products(call: _Call) -> float | None:
    """Returns the operations of one forward pass through one layer, or `None` if unknown."""
    layer = call.layer
    if not call.outputs or any(-1 in shape for shape in (*call.inputs, *call.outputs)):
        return None
    values = math.prod(call.outputs[0])
    if isinstance(layer, layers.Dense):
        return float(2 * values * call.inputs[0][-1])
    if isinstance(layer, _CONVOLUTIONS):
        window = math.prod(layer.kernel_size) * _channels(call) // layer.groups
        return float(2 * values * window)
    if isinstance(layer, _TRANSPOSED):
        # Every input is multiplied by the whole kernel; what falls off the edge counts as well.
        inputs = math.prod(call.inputs[0])
        return float(2 * inputs * math.prod(layer.kernel_size) * layer.filters)
    if isinstance(layer, _DEPTHWISE):
        return float(2 * values * math.prod(layer.kernel_size))
    if isinstance(layer, _SEPARABLE):
        between = values // layer.filters * _channels(call) * layer.depth_multiplier
        window = math.prod(layer.kernel_size) + layer.filters  # over space, then over channels
        return float(2 * between * window)
    if isinstance(layer, _ELEMENTWISE):
        return 0.0
    name = type(layer).__name__
    is_unknown = isinstance(layer, _UNKNOWN) or _UNKNOWN_OPERATIONS.fullmatch(name)
    return None if is_unknown or len(getattr(layer, "weights", ())) else 0.0


def _channels(call: _Call) -> int:
    """Returns the channels of a layer's input."""
    return call.inputs[0][0 if call.layer.data_format == "channels_first" else -1]


def _is_trained(layer: Any) -> bool:
    return bool(getattr(layer, "trainable_weights", ()))


def _calls(model: Any, after_weights: bool = False) -> Iterator[_Call]:
    """Yields each call of a layer in the order of the graph, also in models inside it."""
    graph = getattr(model, "_functional", None) or model  # Sequential keeps one inside
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if by_depth is None:
        yield _Call(model, (), (), after_weights)
        return
    trained: set[int] = {id(x) for x in graph.inputs} if after_weights else set()
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            layer = node.operation
            after = any(id(tensor) in trained for tensor in node.input_tensors)
            if after or _is_trained(layer):
                trained |= {id(tensor) for tensor in node.outputs}
            if isinstance(layer, keras.Model):
                yield from _calls(layer, after)
            else:
                yield _Call(layer, _shapes(node.input_tensors), _shapes(node.outputs), after)


def _shapes(tensors: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Returns shapes without the batch; an unknown length is -1."""
    return tuple(tuple(-1 if n is None else int(n) for n in t.shape[1:]) for t in tensors)
