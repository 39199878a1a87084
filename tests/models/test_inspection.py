import keras
import numpy as np
import pytest
from keras import layers

from cnnbench.models.evaluation import dead_units, prediction_difference


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (70, 12, 12, 3), np.uint8)


def convolution(filters: int = 4, dead: int = 0, activation: str | None = "relu", **more):
    """Returns a built convolution of which some channels are zero for any picture."""
    layer = layers.Conv2D(filters, 3, activation=activation, **more)
    layer.build((None, 12, 12, 3))
    bias = np.full(filters, 10.0)
    bias[:dead] = -10.0
    layer.set_weights([np.zeros((3, 3, 3, filters)), bias])
    return layer


def sequential(*stack):
    return keras.Sequential([keras.Input((12, 12, 3)), layers.Rescaling(1 / 255), *stack])


# Repeatable answers


def answers(model, pictures):
    return model.predict_on_batch(pictures).astype(np.float64)


def head(*stack):
    return sequential(*stack, layers.Flatten(), layers.Dense(1, activation="sigmoid"))


def test_a_network_without_chance_answers_the_same(pictures):
    model = head(convolution(), layers.Dropout(0.5), layers.RandomFlip())
    assert prediction_difference(model, pictures, answers(model, pictures)) == 0.0


def test_the_largest_difference_counts(pictures):
    model = head()
    probabilities = answers(model, pictures)
    probabilities[[3, 5], 0] += [0.125, -0.25]
    assert prediction_difference(model, pictures, probabilities) == 0.25


def test_only_the_first_pictures_are_looked_at():
    model, many = head(), np.zeros((300, 12, 12, 3), np.uint8)
    probabilities = np.concatenate([answers(model, many[:256]), np.ones((44, 1))])
    assert prediction_difference(model, many, probabilities) == 0.0


def test_answers_that_are_nan_once_only_differ(pictures):
    model = head()
    probabilities = answers(model, pictures)
    probabilities[0] = np.nan
    assert prediction_difference(model, pictures, probabilities) == np.inf


def test_answers_that_stay_nan_are_the_same(pictures):
    model = head()
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    assert prediction_difference(model, pictures, answers(model, pictures)) == 0.0


# Dead units


def test_channels_that_are_zero_everywhere_are_dead(pictures):
    model = sequential(convolution(4, dead=1, name="first"))
    assert dead_units(model, pictures) == {"first": 0.25}


def test_a_channel_that_lives_on_one_picture_is_not_dead():
    # The kernel adds up brightness: only the last picture, of the last batch, exceeds the bias.
    layer = convolution(1)
    layer.set_weights([np.ones((3, 3, 3, 1)), np.full(1, -1.0)])
    dark = np.zeros((70, 12, 12, 3), np.uint8)
    model = sequential(layer)
    assert list(dead_units(model, dark).values()) == [1.0]
    dark[69, 11, 11] = 255
    assert list(dead_units(model, dark).values()) == [0.0]


def test_neurons_of_a_dense_layer_are_units(pictures):
    dense = layers.Dense(4, activation="relu", name="dense")
    model = sequential(layers.Flatten(), dense)
    dense.set_weights([np.zeros((432, 4)), np.array([-1.0, -1.0, 1.0, 0.0])])
    assert dead_units(model, pictures) == {"dense": 0.75}


@pytest.mark.parametrize(
    "relu", [layers.ReLU(), layers.Activation("relu"), layers.Activation("relu6")], ids=str
)
def test_a_relu_may_be_a_layer_of_its_own(pictures, relu):
    model = sequential(convolution(4, dead=2, activation=None), relu)
    assert dead_units(model, pictures) == {relu.name: 0.5}


def test_layers_without_a_relu_are_left_out(pictures):
    model = sequential(layers.Conv2D(4, 3, activation="elu"), layers.Conv2D(4, 3))
    assert dead_units(model, pictures) == {}


def test_a_functional_model_with_branches_is_looked_at(pictures):
    inputs = keras.Input((12, 12, 3))
    branches = [convolution(4, dead, name=f"dead-{dead}")(inputs) for dead in (1, 3)]
    model = keras.Model(inputs, layers.Concatenate()(branches))
    assert dead_units(model, pictures) == {"dead-1": 0.25, "dead-3": 0.75}


def test_what_lies_inside_a_nested_model_is_looked_at(pictures):
    nested = sequential(convolution(4, dead=1, name="inner"))
    model = keras.Sequential([keras.Input((12, 12, 3)), nested, convolution_after()])
    assert dead_units(model, pictures) == {"inner": 0.25, "outer": 1.0}


def convolution_after():
    layer = layers.Conv2D(2, 3, activation="relu", name="outer")
    layer.build((None, 10, 10, 4))
    layer.set_weights([np.zeros((3, 3, 4, 2)), np.full(2, -1.0)])
    return layer


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = convolution(4, dead=1, name="first")

    def call(self, pictures):
        return self.first(keras.ops.cast(pictures, "float32"))


def test_a_subclassed_model_is_looked_at(pictures):
    assert dead_units(Subclassed(), pictures) == {"first": 0.25}
