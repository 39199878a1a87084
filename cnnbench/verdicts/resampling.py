"""Gates judged again and again on training runs that were really made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cnnbench.records.checks import CheckResult
from cnnbench.records.runs import TrainingRun
from cnnbench.verdicts.gates.evidence import Levels, Rule, answers_of
from cnnbench.verdicts.gates.jury import Gate, Jury

Runs = Sequence[TrainingRun]


def drawn(runs: Runs, count: int, rng: np.random.Generator, *, again: bool = False) -> Runs:
    """Returns `count` runs in random order, with seeds 0, 1, ...; with `again` a bootstrap."""
    chosen = rng.choice(len(runs), count, replace=again)
    return [replace(runs[index], seed=seed) for seed, index in enumerate(chosen)]


def with_drop(
    run: TrainingRun, share: float, labels: Sequence[int], rng: np.random.Generator
) -> TrainingRun:
    """Returns the run with this share of the held-out pictures answered wrongly that were right.

    Training accuracy stays, so the drop is one of generalization.
    """
    right = np.flatnonzero(answers_of(run) == np.asarray(labels))
    count = min(round(share * len(labels)), len(right))
    flipped = rng.choice(right, count, replace=False)
    probabilities = list(run.val_probabilities)
    for index in flipped:
        probabilities[index] = _wrong(probabilities[index], labels[index])
    return replace(
        run,
        val_probabilities=tuple(probabilities),
        val_accuracy=(len(right) - len(flipped)) / len(labels),
    )


def _wrong(row: tuple[float, ...], label: int) -> tuple[float, ...]:
    if len(row) > 1:
        # Swapped probabilities could be equal: the runner-up is made sure.
        other = max((k for k in range(len(row)) if k != label), key=row.__getitem__)
        return tuple(float(k == other) for k in range(len(row)))
    # One half counts as the first class, so its mirror image must not stay there.
    mirrored = 1 - row[0]
    return (mirrored if mirrored != 0.5 else 0.75,)


def judged(
    rules: Sequence[tuple[str, Rule]],
    pools: Mapping[str, Runs],
    levels: Levels,
    labels: Sequence[int],
    first: int = 3,
) -> list[CheckResult]:
    """Returns the verdicts of one session.

    Each rule comes with the name of the pool that its runs come from; a pool has as many runs as
    may be used, as `drawn` returns them.
    """
    gates = [Gate(rule, name, tuple(range(first))) for name, rule in rules]
    jury = Jury(gates, levels, labels, lambda wanted: [pools[name][seed] for name, seed in wanted])
    return [jury.verdict(gate) for gate in gates]
