"""What one use of a layer costs, in floating point operations: one rule a kind of layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import layers

# For a value: from XLA's and TensorFlow's own tables; exp, log and sqrt count as one.
ACTIVATIONS = {"linear": 0, "relu": 1, "sigmoid": 4, "softmax": 5, "tanh": 5, "silu": 5, "gelu": 8}
OTHER_ACTIVATION = 4
NORMALIZATION = 2  # scale and shift; batch statistics of training cost 4 more
BATCH_STATISTICS = 4
LAYER_STATISTICS = 4

# Operations of a functional graph that multiply matrices without being layers.
_UNCOUNTED_OPERATIONS = {
    *("Matmul", "Dot", "Einsum", "Tensordot", "Inner", "Outer", "Vdot", "Conv", "ConvTranspose"),
    *("DepthwiseConv", "SeparableConv", "DotProductAttention"),
}


@dataclass(frozen=True)
class Count:
    """Floating point operations of one picture.

    Args:
        products: multiplications and additions of convolutions and dense layers.
        elementwise: about what the rest costs.
        per_step: what a training step costs whatever its batch size: the optimizer (adam's).
        uncounted: layers that multiply in ways unknown here, as `name: reason`.
    """

    products: float = 0.0
    elementwise: float = 0.0
    per_step: float = 0.0
    uncounted: tuple[str, ...] = ()

    @property
    def flops(self) -> float | None:
        """The products, or `None` if some are unknown."""
        return None if self.uncounted else self.products

    def everything(self, batch_size: int) -> float:
        """Returns products, elementwise operations and the picture's share of the optimizer."""
        return self.products + self.elementwise + self.per_step / batch_size

    def plus(self, other: Count) -> Count:
        """Returns the sum of two counts."""
        return Count(
            self.products + other.products,
            self.elementwise + other.elementwise,
            self.per_step + other.per_step,
            self.uncounted + other.uncounted,
        )


@dataclass(frozen=True)
class Call:
    """One use of a layer: shapes without the batch, and whether its inputs depend on weights."""

    layer: Any
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    after_weights: bool


def forward(call: Call, training: bool = False) -> Count:
    """Counts one forward pass of one picture through one layer; of training, if so."""
    layer = call.layer
    name = f"{getattr(layer, 'name', '?')} ({type(layer).__name__})"
    if not call.outputs:
        return Count(uncounted=(f"{name}: not a graph of layers",))
    if any(-1 in shape for shape in (*call.inputs, *call.outputs)):
        return Count(uncounted=(f"{name}: its shape is not fixed",))
    if isinstance(layer, layers.Wrapper):
        return Count(uncounted=(f"{name}: a layer inside a layer",))
    for kind, rule in _RULES:
        if isinstance(layer, kind):
            return rule(call, training)
    has_weights = bool(getattr(layer, "weights", ()))
    multiplies = isinstance(layer, (layers.Dot, layers.Lambda))
    if has_weights or multiplies or type(layer).__name__ in _UNCOUNTED_OPERATIONS:
        return Count(uncounted=(f"{name}: no rule for this layer",))
    return Count()


def _spatial(layer: Any, shape: tuple[int, ...]) -> int:
    first = layer.data_format == "channels_first"
    return math.prod(shape[1:] if first else shape[:-1])


def _channels(layer: Any, shape: tuple[int, ...]) -> int:
    return shape[0] if layer.data_format == "channels_first" else shape[-1]


def _outputs(call: Call) -> int:
    return math.prod(call.outputs[0])


def _ending(call: Call) -> float:
    """Returns what bias and activation cost."""
    layer = call.layer
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "linear") if activation else "linear"
    each = ACTIVATIONS.get(name, OTHER_ACTIVATION) + bool(getattr(layer, "use_bias", False))
    return float(each * _outputs(call))


def _dense(call: Call, _: bool) -> Count:
    return Count(2.0 * _outputs(call) * call.inputs[0][-1], _ending(call))


def _convolution(call: Call, _: bool) -> Count:
    layer = call.layer
    window = math.prod(layer.kernel_size) * _channels(layer, call.inputs[0]) // layer.groups
    return Count(2.0 * _outputs(call) * window, _ending(call))


def _depthwise(call: Call, _: bool) -> Count:
    return Count(2.0 * _outputs(call) * math.prod(call.layer.kernel_size), _ending(call))


def _separable(call: Call, _: bool) -> Count:
    layer = call.layer
    between = _channels(layer, call.inputs[0]) * layer.depth_multiplier
    window = math.prod(layer.kernel_size) + layer.filters  # over space, then over channels
    return Count(2.0 * _spatial(layer, call.outputs[0]) * between * window, _ending(call))


def _transposed(call: Call, _: bool) -> Count:
    # Every input is multiplied with the whole kernel; what falls off the edge counts as well.
    inputs = math.prod(call.inputs[0])
    return Count(
        2.0 * inputs * math.prod(call.layer.kernel_size) * call.layer.filters, _ending(call)
    )


def _batch_normalization(call: Call, training: bool) -> Count:
    statistics = BATCH_STATISTICS if training and call.layer.trainable else 0
    return Count(elementwise=float((NORMALIZATION + statistics) * _outputs(call)))


def _other_normalization(call: Call, _: bool) -> Count:
    return Count(elementwise=float((NORMALIZATION + LAYER_STATISTICS) * _outputs(call)))


def _pooling(call: Call, _: bool) -> Count:
    return Count(elementwise=float(math.prod(call.layer.pool_size) * _outputs(call)))


def _global_pooling(call: Call, _: bool) -> Count:
    return Count(elementwise=float(math.prod(call.inputs[0])))


def _merging(call: Call, _: bool) -> Count:
    return Count(elementwise=float((len(call.inputs) - 1) * _outputs(call)))


def _activation(call: Call, _: bool) -> Count:
    return Count(elementwise=_ending(call))


def _simple(for_each: int) -> Callable[[Call, bool], Count]:
    return lambda call, _: Count(elementwise=float(for_each * _outputs(call)))


def _dropout(call: Call, training: bool) -> Count:
    return Count(elementwise=2.0 * _outputs(call) if training else 0.0)


def _classes(*names: str) -> tuple[type[Any], ...]:
    return tuple(getattr(layers, name) for name in names)


# The first that fits: a transposed convolution is no convolution in Keras, a depthwise neither.
_RULES: tuple[tuple[tuple[type[Any], ...], Callable[[Call, bool], Count]], ...] = (
    (_classes("Dense"), _dense),
    (_classes("SeparableConv1D", "SeparableConv2D"), _separable),
    (_classes("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    (_classes("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    (_classes("Conv1D", "Conv2D", "Conv3D"), _convolution),
    (_classes("BatchNormalization"), _batch_normalization),
    (_classes("LayerNormalization", "GroupNormalization"), _other_normalization),
    (_classes("MaxPooling1D", "MaxPooling2D", "MaxPooling3D"), _pooling),
    (_classes("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"), _pooling),
    (_classes("GlobalAveragePooling1D", "GlobalAveragePooling2D"), _global_pooling),
    (_classes("GlobalMaxPooling1D", "GlobalMaxPooling2D"), _global_pooling),
    (_classes("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _merging),
    (_classes("Activation"), _activation),
    (_classes("ReLU", "LeakyReLU"), _simple(1)),
    (_classes("PReLU", "Rescaling"), _simple(2)),
    (_classes("Softmax"), _simple(5)),
    (_classes("Dropout"), _dropout),
)
