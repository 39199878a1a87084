import keras
import pytest
from keras import layers

from cnnbench.models.network import build_model
from cnnbench.models.variants import VARIANTS
from cnnbench.speed.flops import inference_flops, training_flops

# Pictures of 64x64x3: 62x62 and 29x29 are convolved, 14x14x32 values reach the dense layer.
FIRST = 2 * 62 * 62 * 32 * 3 * 3 * 3
SECOND = 2 * 29 * 29 * 32 * 3 * 3 * 32
DENSE = 2 * 14 * 14 * 32 * 128
OUTPUT = 2 * 128


def model_of(*stack, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *stack])


# The documented CNN


def test_the_documented_network_needs_what_is_calculated_by_hand():
    for name in ("documented", "functional"):
        model = build_model(VARIANTS[name])
        assert inference_flops(model) == FIRST + SECOND + DENSE + OUTPUT
        # Three passes, less the first input gradient.
        assert training_flops(model) == 2 * FIRST + 3 * (SECOND + DENSE + OUTPUT)


@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_are_counted_completely(name):
    model = build_model(VARIANTS[name])
    assert training_flops(model) > 2 * inference_flops(model) > 0


# Layers


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (layers.Dense(5), 2 * 64 * 3 * 5),  # on the last axis of each of 64 places
        (layers.Conv2D(5, 3), 2 * 36 * 27 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), 2 * 16 * 27 * 5),
        (layers.Conv2D(6, 3, groups=3), 2 * 36 * 9 * 6),
        (layers.Conv2D(5, 3, dilation_rate=2), 2 * 16 * 27 * 5),
        (layers.Conv2D(5, 3, data_format="channels_first"), 2 * 6 * 72 * 5),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 2 * 36 * 9 * 6),
        (layers.SeparableConv2D(5, 3, depth_multiplier=2), 2 * 36 * (9 * 6 + 6 * 5)),
        (layers.Conv2DTranspose(5, 2, strides=2), 2 * 64 * 3 * 4 * 5),
        (layers.LayerNormalization(), 0),
        (layers.PReLU(), 0),
        (layers.UpSampling2D(2), 0),  # is not known, but has no weights
    ],
)
def test_products_of_a_layer(layer, products):
    assert inference_flops(model_of(layer)) == products


def test_models_inside_a_model_are_counted():
    inner = model_of(layers.Conv2D(5, 3))
    outer = model_of(inner, layers.Flatten(), layers.Dense(2))
    assert inference_flops(outer) == 2 * 36 * 27 * 5 + 2 * 180 * 2


def test_a_layer_that_is_used_twice_counts_twice():
    inputs, dense = keras.Input((4,)), layers.Dense(4)
    model = keras.Model(inputs, dense(dense(inputs)))
    assert inference_flops(model) == 2 * 2 * 4 * 4


# Training


def two_branches():
    inputs = keras.Input((4,))
    both = layers.Add()([layers.Dense(4)(inputs), layers.Dense(4)(inputs)])
    return keras.Model(inputs, layers.Dense(4)(both))


def in_a_row(*trainable):
    return model_of(*(layers.Dense(4, trainable=each) for each in trainable), shape=(4,))


@pytest.mark.parametrize(
    ("model", "passes"),
    [
        (lambda: in_a_row(True, True), 2 + 3),  # only the first layer needs no input gradient
        (two_branches, 2 + 2 + 3),  # each branch has a first layer
        (lambda: in_a_row(False, True), 1 + 2),  # frozen at the start: forward only
        (lambda: in_a_row(True, False), 2 + 2),  # frozen later: passes the gradient on
        (lambda: model_of(layers.Dense(4), in_a_row(True), shape=(4,)), 2 + 3),  # a model inside
    ],
)
def test_passes_through_layers_of_a_training_step(model, passes):
    assert training_flops(model()) == 32 * passes


# What is not known


class Own(layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2))

    def call(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)


def in_a_graph(function, shape=(8, 8)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize(
    "model",
    [
        lambda: model_of(Own()),
        lambda: in_a_graph(lambda x: keras.ops.matmul(x, x)),
        lambda: in_a_graph(lambda x: layers.Attention()([x, x])),
        lambda: in_a_graph(layers.LSTM(3)),
        lambda: in_a_graph(layers.TimeDistributed(layers.Dense(3))),
        lambda: model_of(layers.Conv2D(5, 3), shape=(None, None, 3)),
        lambda: keras.Sequential([layers.Dense(3)]),
    ],
    ids=["own", "operation", "attention", "recurrent", "wrapped", "any shape", "not built"],
)
def test_what_has_no_rule_is_unknown(model):
    made = model()
    assert inference_flops(made) is training_flops(made) is None
