"""The named configurations of the CNN, as frozen data. Nothing is built here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Variant:
    """One configuration of the CNN.

    `documented` is the one that the others are compared with. Every variant is
    trained with adam and cross-entropy; a user's own model (`builder`) may bring
    its own compiled optimizer and loss instead.

    Args:
        name: how the variant is called in options, test ids and reports.
        description: one line for people.
        blocks: filters of each Conv2D(3x3, relu) and MaxPooling2D(2x2) block.
        pooling: what turns the last feature maps into a vector.
        dense_units: units of the dense relu layer before the output.
        batch_normalization: before each relu, of convolutions and of the dense layer.
        dropout: share dropped before the output layer, in training only.
        augmentation: random flips and small shifts, in training only.
        api: `sequential` is `Sequential` with `Flatten`, `functional` is `Model`, `Input` and
            `Reshape`.
        early_stopping_patience: epochs without improvement on a monitor split
            (taken out of the training set) before training stops; `None`
            trains all epochs.
        learning_rate: adam's.
        builder: `package.module:function` of a user's own model; the fields
            that describe layers are then without meaning.
    """

    name: str
    description: str = ""
    blocks: tuple[int, ...] = (32, 32)
    pooling: Literal["flatten", "global_average"] = "flatten"
    dense_units: int = 128
    batch_normalization: bool = False
    dropout: float = 0.0
    augmentation: bool = False
    api: Literal["sequential", "functional"] = "sequential"
    early_stopping_patience: int | None = None
    learning_rate: float = 0.001
    builder: str | None = None

    def fingerprint(self) -> str:
        """Returns a short hash of everything that shapes the model, names aside."""
        content = {k: v for k, v in asdict(self).items() if k not in ("name", "description")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Variant:
        """Rebuilds a variant from `to_dict`'s data.

        Raises:
            ValueError: if a field is unknown, as in a file of a later version.
        """
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(
                f"This variant has fields that cnnbench does not know: {', '.join(unknown)}. "
                f"Use the version of cnnbench that wrote it. Received: variant={data.get('name')!r}"
            )
        return cls(**{**data, "blocks": tuple(data["blocks"])})


def _by_name(*variants: Variant) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants}


VARIANTS: dict[str, Variant] = _by_name(
    Variant("documented", "two conv-pool blocks of 32, dense 128, sigmoid"),
    Variant("single-block", "the one conv-pool pair as first written", blocks=(32,)),
    Variant("three-blocks", "a third conv-pool block of 64", blocks=(32, 32, 64)),
    Variant("dropout", "half of the dense layer dropped in training", dropout=0.5),
    Variant("batchnorm", "batch normalization before each relu", batch_normalization=True),
    Variant("wide", "twice the filters and dense units", blocks=(64, 64), dense_units=256),
    Variant("augmented", "random flips and small shifts in training", augmentation=True),
    Variant(
        "global-pooling", "global average pooling instead of Flatten", pooling="global_average"
    ),
    Variant("functional", "documented, through Input, Model and Reshape", api="functional"),
    Variant(
        "early-stopping",
        "stops when a monitor split of the training set stops improving",
        early_stopping_patience=2,
    ),
)

# Quick ones that trained well under every seed that was tried on the drawn set.
DEFAULT_VARIANTS = ("documented", "three-blocks", "dropout", "early-stopping")


def variant_named(name: str) -> Variant:
    """Returns the variant of that name, or one for a user's `package.module:function`.

    Raises:
        ValueError: if there is no such variant; the message lists the valid names.
    """
    if name in VARIANTS:
        return VARIANTS[name]
    module, colon, function = name.partition(":")
    if colon and function.isidentifier() and all(p.isidentifier() for p in module.split(".")):
        return Variant(name, f"own model {name}", builder=name)
    raise ValueError(
        f"Unknown variant. Expected one of {', '.join(VARIANTS)}, or your own model as "
        f"package.module:function. Received: variant={name!r}"
    )
