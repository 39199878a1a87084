from dataclasses import replace

import pytest

from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, variant_named

DOCUMENTED = VARIANTS["documented"]


def test_documented_is_what_the_documentation_says():
    assert DOCUMENTED.blocks == (32, 32)
    assert DOCUMENTED.pooling == "flatten"
    assert DOCUMENTED.dense_units == 128
    assert DOCUMENTED.api == "sequential"
    assert (DOCUMENTED.dropout, DOCUMENTED.batch_normalization) == (0.0, False)
    assert (DOCUMENTED.augmentation, DOCUMENTED.early_stopping_patience) == (False, None)


def test_no_two_variants_are_the_same():
    assert len({variant.fingerprint() for variant in VARIANTS.values()}) == len(VARIANTS)


def test_default_variants_exist_and_begin_with_the_documented_one():
    assert DEFAULT_VARIANTS[0] == "documented"
    assert set(DEFAULT_VARIANTS) <= set(VARIANTS)


def test_fingerprint_is_not_about_names():
    renamed = replace(DOCUMENTED, name="other")
    assert renamed.fingerprint() == DOCUMENTED.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": (32, 33)},
        {"pooling": "global_average"},
        {"dense_units": 127},
        {"batch_normalization": True},
        {"dropout": 0.1},
        {"augmentation": True},
        {"api": "functional"},
        {"early_stopping_patience": 1},
        {"learning_rate": 0.002},
        {"builder": "package.module:build"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_fingerprint_is_about_everything_else(change):
    assert replace(DOCUMENTED, **change).fingerprint() != DOCUMENTED.fingerprint()


def test_variants_are_found_by_name():
    assert [variant_named(name) for name in VARIANTS] == list(VARIANTS.values())


def test_own_models_are_named_by_module_and_function():
    variant = variant_named("package.module:build")
    assert (variant.name, variant.builder) == ("package.module:build", "package.module:build")


@pytest.mark.parametrize(
    "name",
    ["", "dokumented", "module:", ":build", "a..b:build", "a.b:1", "a-b:build", "a:b:c", "a.b"],
)
def test_unknown_names_list_the_valid_ones(name):
    message = rf"Expected one of {', '.join(VARIANTS)}, or your own .* variant='{name}'$"
    with pytest.raises(ValueError, match=message):
        variant_named(name)
