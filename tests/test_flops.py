import keras
import pytest
from keras import layers

from cnnbench import flop_rules, flops
from cnnbench.flop_rules import Count
from cnnbench.model import build_model
from cnnbench.variants import VARIANTS, variant_named

# Pictures of 64x64x3: 62x62 and 29x29 are convolved, 14x14x32 values reach the dense layer.
FIRST = 2 * 62 * 62 * 32 * 3 * 3 * 3
SECOND = 2 * 29 * 29 * 32 * 3 * 3 * 32
DENSE = 2 * 14 * 14 * 32 * 128
OUTPUT = 2 * 128


def model_of(*stack, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *stack])


def one(layer, shape=(8, 8, 3)):
    return flops.inference_count(model_of(layer, shape=shape))


def built(name):
    return build_model(variant_named(name))


# The documented CNN


def test_the_documented_network_needs_what_is_calculated_by_hand():
    found = flops.inference_flops(built("documented"))
    assert found == FIRST + SECOND + DENSE + OUTPUT
    assert found == pytest.approx(23.75e6, rel=1e-4)


def test_training_is_three_passes_less_the_first_input_gradient():
    found = flops.training_flops(built("documented"))
    assert found == 2 * FIRST + 3 * (SECOND + DENSE + OUTPUT)
    assert found == pytest.approx(64.6e6, rel=1e-3)


def test_both_apis_need_the_same():
    documented, functional = built("documented"), built("functional")
    assert flops.training_count(functional) == flops.training_count(documented)


@pytest.mark.parametrize("name", VARIANTS)
def test_all_variants_are_counted_completely(name):
    model = built(name)
    assert flops.inference_count(model).uncounted == flops.training_count(model).uncounted == ()


@pytest.mark.parametrize("name", VARIANTS)
def test_elementwise_operations_are_a_few_percent(name):
    count = flops.inference_count(built(name))
    assert 0 < count.elementwise < 0.03 * count.products


# Layers


@pytest.mark.parametrize(
    ("layer", "products"),
    [
        (layers.Dense(5), 2 * 64 * 3 * 5),  # on the last axis of each of 64 places
        (layers.Conv2D(5, 3), 2 * 36 * 27 * 5),
        (layers.Conv2D(5, 3, strides=2, padding="same"), 2 * 16 * 27 * 5),
        (layers.Conv2D(6, 3, groups=3), 2 * 36 * 9 * 6),
        (layers.Conv2D(5, 3, dilation_rate=2), 2 * 16 * 27 * 5),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 2 * 36 * 9 * 6),
        (layers.SeparableConv2D(5, 3, depth_multiplier=2), 2 * 36 * (9 * 6 + 6 * 5)),
        (layers.Conv2DTranspose(5, 2, strides=2), 2 * 64 * 3 * 4 * 5),
        (layers.MaxPooling2D(2), 0),
        (layers.Flatten(), 0),
    ],
)
def test_products_of_a_layer(layer, products):
    assert one(layer).flops == products


@pytest.mark.parametrize(
    ("layer", "operations"),
    [
        (layers.Dense(5), 64 * 5),  # the bias
        (layers.Dense(5, use_bias=False), 0),
        (layers.Dense(5, activation="relu"), 2 * 64 * 5),
        (layers.Conv2D(5, 3, activation="relu"), 2 * 36 * 5),
        (layers.Conv2DTranspose(5, 2, strides=2), 256 * 5),
        (layers.BatchNormalization(), 2 * 192),
        (layers.LayerNormalization(), 6 * 192),
        (layers.MaxPooling2D(2), 192),
        (layers.AveragePooling2D(2), 192),
        (layers.GlobalAveragePooling2D(), 192),
        (layers.Activation("relu"), 192),
        (layers.ReLU(), 192),
        (layers.Softmax(), 5 * 192),
        (layers.Rescaling(1 / 255), 2 * 192),
        (layers.Dropout(0.5), 0),
        (layers.RandomFlip(), 0),
    ],
)
def test_elementwise_operations_of_a_layer(layer, operations):
    assert one(layer).elementwise == operations


def test_channels_may_come_first():
    layer = layers.Conv2D(5, 3, data_format="channels_first")
    assert one(layer, shape=(3, 8, 8)).flops == one(layers.Conv2D(5, 3)).flops


def test_sums_of_branches_are_elementwise():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Add()([inputs, inputs, inputs]))
    assert flops.inference_count(model) == Count(elementwise=2 * 192)


def test_models_inside_a_model_are_counted():
    inner = model_of(layers.Conv2D(5, 3))
    outer = model_of(inner, layers.Flatten(), layers.Dense(2))
    assert flops.inference_flops(outer) == 2 * 36 * 27 * 5 + 2 * 180 * 2


def test_a_layer_that_is_used_twice_counts_twice():
    inputs, dense = keras.Input((4,)), layers.Dense(4)
    model = keras.Model(inputs, dense(dense(inputs)))
    assert flops.inference_flops(model) == 2 * 2 * 4 * 4


# Training


def test_only_the_first_layer_needs_no_input_gradient():
    model = model_of(layers.Dense(4), layers.Dense(4), shape=(4,))
    assert flops.training_flops(model) == 32 * (2 + 3)


def test_each_branch_has_a_first_layer():
    inputs = keras.Input((4,))
    both = layers.Add()([layers.Dense(4)(inputs), layers.Dense(4)(inputs)])
    model = keras.Model(inputs, layers.Dense(4)(both))
    assert flops.training_flops(model) == 32 * (2 + 2 + 3)


def test_frozen_layers_at_the_start_are_passed_forward_only():
    frozen = layers.Dense(4, trainable=False)
    model = model_of(frozen, layers.Dense(4), shape=(4,))
    assert flops.training_flops(model) == 32 * (1 + 2)


def test_frozen_layers_later_pass_the_gradient_on():
    frozen = layers.Dense(4, trainable=False)
    model = model_of(layers.Dense(4), frozen, shape=(4,))
    assert flops.training_flops(model) == 32 * (2 + 2)


def test_a_model_after_weights_needs_input_gradients():
    inner = model_of(layers.Dense(4), shape=(4,))
    model = model_of(layers.Dense(4), inner, shape=(4,))
    assert flops.training_flops(model) == 32 * (2 + 3)


def test_the_optimizer_counts_once_a_step():
    count = flops.training_count(model_of(layers.Dense(4), shape=(4,)))
    assert count.per_step == flops.ADAM * 20
    assert count.everything(10) == count.products + count.elementwise + count.per_step / 10


def test_statistics_of_batch_normalization_count_in_training():
    model = model_of(layers.BatchNormalization())
    assert flops.training_count(model).elementwise == 3 * 6 * 192


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
    ("model", "reason"),
    [
        (lambda: model_of(Own(name="own")), "own (Own): no rule for this layer"),
        (lambda: in_a_graph(lambda x: keras.ops.matmul(x, x)), "no rule for this layer"),
        (lambda: in_a_graph(layers.LSTM(3)), "(LSTM): no rule for this layer"),
        (lambda: in_a_graph(layers.TimeDistributed(layers.Dense(3))), "a layer inside a layer"),
        (lambda: model_of(layers.Conv2D(5, 3), shape=(None, None, 3)), "its shape is not fixed"),
        (lambda: keras.Sequential([layers.Dense(3)]), "not a graph of layers"),
    ],
)
def test_what_has_no_rule_is_named(model, reason):
    made = model()
    assert reason in " ".join(flops.inference_count(made).uncounted)
    assert flops.inference_flops(made) is None
    assert flops.training_flops(made) is None


def test_layers_without_weights_cost_nothing_if_unknown():
    assert one(layers.UpSampling2D(2)) == Count()


def test_counts_add_up():
    total = Count(1, 2, 3, ("a",)).plus(Count(10, 20, 30, ("b",)))
    assert total == Count(11, 22, 33, ("a", "b"))


def test_every_rule_is_for_a_layer_of_keras():
    kinds = [kind for group, _ in flop_rules._RULES for kind in group]
    assert len(kinds) == len(set(kinds))
    assert all(issubclass(kind, layers.Layer) for kind in kinds)
