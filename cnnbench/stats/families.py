"""Many tests, one error rate."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Returns p values adjusted for the family, in their order.

    Rejecting those of at most alpha rejects any true hypothesis with at most that chance, however
    the tests depend on each other (Holm, "A simple sequentially rejective multiple test
    procedure", 1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, so_far = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = so_far
    return tuple(adjusted)
