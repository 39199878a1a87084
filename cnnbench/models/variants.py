"""The named configurations of the CNN, as frozen data. Nothing is built here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """One configuration of the CNN.

    `documented` is the one that the others are compared with. Every variant is trained with adam
    and cross-entropy; a user's own model (`builder`) may bring its own optimizer and loss instead.

    Args:
        name: how the variant is called in options, test ids and reports.
        blocks: filters of each Conv2D(3x3, relu) and MaxPooling2D(2x2) block.
        pooling: what turns the last feature maps into a vector.
        dense_units: units of the dense relu layer before the output.
        batch_normalization: before each relu, of convolutions and of the dense layer.
        dropout: share dropped before the output layer, in training only.
        augmentation: random flips and small shifts, in training only.
        api: `sequential` is `Sequential` with `Flatten`, `functional` is `Model`, `Input` and
            `Reshape`.
        early_stopping_patience: epochs without improvement on a monitor split, taken out of the
            training set, before training stops; `None` trains all epochs.
        learning_rate: adam's.
        builder: `package.module:function` of a user's own model, whose layers no field describes.
    """

    name: str
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
        """Returns a short hash of everything that shapes the model, not of its name."""
        content = {k: v for k, v in asdict(self).items() if k != "name"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("documented"),
        Variant("single-block", blocks=(32,)),
        Variant("three-blocks", blocks=(32, 32, 64)),
        Variant("dropout", dropout=0.5),
        Variant("batchnorm", batch_normalization=True),
        Variant("wide", blocks=(64, 64), dense_units=256),
        Variant("augmented", augmentation=True),
        Variant("global-pooling", pooling="global_average"),
        Variant("functional", api="functional"),
        Variant("early-stopping", early_stopping_patience=2),
    )
}

# Quick ones that trained well under every seed that was tried on the drawn set.
DEFAULT_VARIANTS = ("documented", "three-blocks", "dropout", "early-stopping")


def variant_named(name: str) -> Variant:
    """Returns the variant of that name, or one for a user's `package.module:function`."""
    if name in VARIANTS:
        return VARIANTS[name]
    module, colon, function = name.partition(":")
    if colon and function.isidentifier() and all(p.isidentifier() for p in module.split(".")):
        return Variant(name, builder=name)
    raise ValueError(
        f"Unknown variant. Expected one of {', '.join(VARIANTS)}, or your own model as "
        f"package.module:function. Received: variant={name!r}"
    )
