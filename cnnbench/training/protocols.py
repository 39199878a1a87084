"""How long a variant is trained: the documented protocol as written, and its sane reading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Protocol:
    """Epochs, steps and batch size of a training.

    Args:
        name: how it is called in options and reports.
        epochs: number of epochs.
        batch_size: pictures a step.
        steps_per_epoch: steps an epoch; `None` is one pass over the training set.
            More steps than a pass walk the set again, in a new order each time.
        validation_steps: steps of each epoch's validation; `None` is one pass.
    """

    name: str
    epochs: int = 10
    batch_size: int = 32
    steps_per_epoch: int | None = None
    validation_steps: int | None = None

    def scaled(self, **numbers: Any) -> Protocol:
        """Returns the protocol with those numbers replaced that are not `None`."""
        return replace(self, **{name: one for name, one in numbers.items() if one is not None})


PROTOCOLS: dict[str, Protocol] = {
    "one-pass": Protocol("one-pass"),
    # The documented script counts pictures where Keras counts steps: at batch 32 an epoch
    # walks 8000 pictures 32 times.
    "documented": Protocol("documented", steps_per_epoch=8000, validation_steps=2000),
}


def protocol_named(name: str) -> Protocol:
    """Returns the protocol of that name, or raises a `ValueError` that lists the valid names."""
    if name not in PROTOCOLS:
        raise ValueError(
            f"Unknown protocol. Expected one of {', '.join(PROTOCOLS)}. Received: protocol={name!r}"
        )
    return PROTOCOLS[name]
