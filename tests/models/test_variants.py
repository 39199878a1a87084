from dataclasses import replace

import pytest

from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, Variant, variant_named

DOCUMENTED = VARIANTS["documented"]


def test_documented_is_what_the_documentation_says():
    assert (
        Variant(
            name="documented",
            blocks=(32, 32),
            pooling="flatten",
            dense_units=128,
            batch_normalization=False,
            dropout=0.0,
            augmentation=False,
            api="sequential",
            early_stopping_patience=None,
            learning_rate=0.001,
        )
        == DOCUMENTED
    )


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
def test_fingerprint_is_about_everything_but_the_name(change):
    assert replace(DOCUMENTED, name="other").fingerprint() == DOCUMENTED.fingerprint()
    assert replace(DOCUMENTED, **change).fingerprint() != DOCUMENTED.fingerprint()


def test_variants_are_found_by_name_and_differ():
    assert [variant_named(name) for name in VARIANTS] == list(VARIANTS.values())
    assert len({variant.fingerprint() for variant in VARIANTS.values()}) == len(VARIANTS)
    assert DEFAULT_VARIANTS[0] == "documented"
    assert set(DEFAULT_VARIANTS) <= set(VARIANTS)
    own = variant_named("package.module:build")
    assert own == Variant("package.module:build", builder="package.module:build")


@pytest.mark.parametrize(
    "name",
    ["", "dokumented", "module:", ":build", "a..b:build", "a.b:1", "a-b:build", "a:b:c", "a.b"],
)
def test_unknown_names_list_the_valid_ones(name):
    message = rf"Expected one of {', '.join(VARIANTS)}, or your own .* variant='{name}'$"
    with pytest.raises(ValueError, match=message):
        variant_named(name)
