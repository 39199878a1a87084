"""The networks that variants name."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cnnbench.models.network import build_model, seeded_model, targets_for
from cnnbench.models.variants import VARIANTS, Variant, variant_named


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if layer.name[:5] != "input"]


def test_documented_is_the_documented_network() -> None:
    model = build_model(VARIANTS["documented"])
    stack = "Rescaling Conv2D MaxPooling2D Conv2D MaxPooling2D Flatten Dense Dense"
    assert " ".join(kinds(model)) == stack
    assert [layer.filters for layer in model.layers if hasattr(layer, "filters")] == [32, 32]
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [128, 1]
    assert (model.input_shape, model.output_shape) == ((None, 64, 64, 3), (None, 1))
    conv, dense = (3 * 3 * 3 + 1) * 32 + (3 * 3 * 32 + 1) * 32, (14 * 14 * 32 + 1) * 128 + 129
    assert model.count_params() == conv + dense
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)
    assert model.loss == "binary_crossentropy"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_built(name: str) -> None:
    model = build_model(VARIANTS[name], (24, 24, 3))
    assert model(np.zeros((2, 24, 24, 3), np.uint8)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "layer", "count"),
    [
        ("single-block", "Conv2D", 1),
        ("three-blocks", "Conv2D", 3),
        ("dropout", "Dropout", 1),
        ("batchnorm", "BatchNormalization", 3),
        ("augmented", "RandomFlip", 1),
        ("augmented", "RandomTranslation", 1),
        ("global-pooling", "GlobalAveragePooling2D", 1),
    ],
)
def test_a_variant_has_the_layers_that_name_it(name: str, layer: str, count: int) -> None:
    assert kinds(build_model(VARIANTS[name])).count(layer) == count


def test_wide_has_more_parameters_and_batchnorm_follows_quickly() -> None:
    documented, wide = (build_model(VARIANTS[name]) for name in ("documented", "wide"))
    assert wide.count_params() > 2 * documented.count_params()
    layers = build_model(VARIANTS["batchnorm"]).layers
    assert {layer.momentum for layer in layers if hasattr(layer, "momentum")} == {0.9}


def test_functional_flattens_with_reshape() -> None:
    documented, functional = (kinds(build_model(VARIANTS[n])) for n in ("documented", "functional"))
    replaced = ["Reshape" if kind == "Flatten" else kind for kind in documented]
    assert [kind for kind in functional if kind != "InputLayer"] == replaced


def test_functional_is_the_same_network_with_the_same_weights() -> None:
    sequential = seeded_model(VARIANTS["documented"], 3, (24, 24, 3), 2).get_weights()
    functional = seeded_model(VARIANTS["functional"], 3, (24, 24, 3), 2).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(sequential, functional, strict=True))
    other = seeded_model(VARIANTS["documented"], 4, (24, 24, 3), 2).get_weights()
    assert not np.array_equal(sequential[0], other[0])


def test_augmentation_is_off_in_inference() -> None:
    model = build_model(VARIANTS["augmented"], (24, 24, 3))
    picture = np.random.default_rng(0).integers(0, 255, (1, 24, 24, 3), dtype=np.uint8)
    answers = {model.predict_on_batch(picture).item() for _ in range(5)}
    assert len(answers) == 1


def test_more_than_two_classes_end_in_a_softmax() -> None:
    model = build_model(VARIANTS["documented"], (24, 24, 3), classes=3)
    answers = np.asarray(model(np.zeros((2, 24, 24, 3), np.uint8)))
    assert answers.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_pictures_too_small_for_the_blocks_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"'three-blocks' can't be built.*input_shape=\(8, 8, 3\)"):
        build_model(VARIANTS["three-blocks"], (8, 8, 3))


def test_an_own_model_may_ask_for_the_number_of_classes() -> None:
    assert build_model(variant_named("faults:healthy"), (24, 24, 3)).output_shape == (None, 1)
    model = build_model(variant_named("faults:three_classes"), (24, 24, 3), classes=3)
    assert model.output_shape == (None, 3)


def test_an_own_compiled_model_keeps_its_optimizer() -> None:
    model = build_model(variant_named("faults:hasty"), (24, 24, 3))
    assert float(model.optimizer.learning_rate) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faults:absent", "Module 'faults' has no function 'absent'"),
        ("nowhere_at_all:build", "Can't import 'nowhere_at_all'"),
        ("faults:no_model", r"faults:no_model .*must return a keras.Model. Received: type=str"),
    ],
)
def test_a_bad_own_model_is_one_clear_error(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(Variant(name, builder=name), (24, 24, 3))


def test_targets_fit_the_loss() -> None:
    labels = np.array([0, 1, 2])
    binary = build_model(VARIANTS["documented"], (24, 24, 3))
    softmax = build_model(VARIANTS["documented"], (24, 24, 3), classes=3)
    one_hot = build_model(variant_named("faults:three_classes"), (24, 24, 3), classes=3)
    one_hot.compile(loss=keras.losses.CategoricalCrossentropy())
    assert targets_for(binary, labels[:2]).tolist() == [[0.0], [1.0]]
    assert targets_for(softmax, labels).tolist() == [0, 1, 2]
    assert targets_for(one_hot, labels).tolist() == np.eye(3).tolist()
