"""Which variants the normal run trains for real; `make slow` trains all of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

# Plain, random in training, with weights that are not trained, with random layers before the rest.
FEW = ("documented", "dropout", "batchnorm", "augmented")


def few_or_all(names: Iterable[str]) -> list[object]:
    """Returns parameters of which all but `FEW` are slow."""
    return [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in names]
