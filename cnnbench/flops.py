"""Floating point operations of one picture, counted from the layers as the textbook does.

A multiplication and an addition are two operations. `products` are those of convolutions and
dense layers, which is what a speed is held against a peak with ("model FLOPs" in Chowdhery et al.,
"PaLM", 2022, appendix B); `elementwise` is about what biases, activations, normalization and
pooling add: 2 % of the documented CNN. Padding counts as if it were multiplied.

Training costs the forward pass, the gradient of each layer's weights (as much again), and the
gradient of its inputs (as much again, except where nothing before it is trained). For the
documented CNN that is 64.6 * 10^6. Of each window of 2x2, max pooling passes the gradient to one
value, so a program that skips the zeros needs 35.8 * 10^6. The larger number is used, as is
usual: no backend here skips them, and the same number for all keeps their percentages comparable.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from cnnbench.flop_rules import Call, Count, forward

ADAM = 12  # a weight and step: two moving averages (3 and 4) and the update (5)


def inference_count(model: keras.Model) -> Count:
    """Counts one forward pass of one picture.

    Args:
        model: built, `Sequential` or functional; models inside it are counted too.

    Returns:
        The count; `uncounted` names what is not known.
    """
    total = Count()
    for call in _calls(model):
        total = total.plus(forward(call))
    return total


def training_count(model: keras.Model) -> Count:
    """Counts one picture's share of a training step: forward, both gradients, and the optimizer.

    Args:
        model: as for `inference_count`; layers that are not trainable have no weight gradient.

    Returns:
        The count; `uncounted` names what is not known.
    """
    total = Count(per_step=ADAM * _weights(model))
    for call in _calls(model):
        once = forward(call, training=True)
        trained = _weights(call.layer) > 0
        passes = 1 + trained + call.after_weights
        back = 3 if trained or call.after_weights else 1
        total = total.plus(
            Count(
                once.products * passes,
                once.elementwise * back,
                uncounted=once.uncounted,
            )
        )
    return total


def inference_flops(model: keras.Model) -> float | None:
    """Returns the products of one forward pass of one picture, or `None` if some are unknown."""
    return inference_count(model).flops


def training_flops(model: keras.Model) -> float | None:
    """Returns the products of one picture in a training step, or `None` if some are unknown."""
    return training_count(model).flops


def _weights(layer: Any) -> int:
    return sum(math.prod(weight.shape) for weight in getattr(layer, "trainable_weights", ()))


def _calls(model: Any, after_weights: bool = False) -> Iterator[Call]:
    """Yields each use of a layer in the order of the graph, models inside it opened."""
    graph = getattr(model, "_functional", None) or model  # Sequential keeps one inside
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if by_depth is None:
        yield Call(model, (), (), after_weights)
        return
    trained: set[int] = {id(x) for x in graph.inputs} if after_weights else set()
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            layer = node.operation
            after = any(id(tensor) in trained for tensor in node.input_tensors)
            if after or _weights(layer):
                trained |= {id(tensor) for tensor in node.outputs}
            if isinstance(layer, keras.Model):
                yield from _calls(layer, after)
            else:
                yield Call(layer, _shapes(node.input_tensors), _shapes(node.outputs), after)


def _shapes(tensors: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Returns shapes without the batch; an unknown length is -1."""
    return tuple(tuple(-1 if n is None else int(n) for n in t.shape[1:]) for t in tensors)
