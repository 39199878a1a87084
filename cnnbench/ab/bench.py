"""The bench: templates of both sides, and pairs of fresh processes one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnnbench.ab.pairs import Pair, TimeSteps, drawn_order, measure_pair
from cnnbench.ab.processes import Child, Template
from cnnbench.ab.sides import Side
from cnnbench.machine.place import Place
from cnnbench.pictures.data_set import Splits
from cnnbench.pictures.streams import random_stream
from cnnbench.records.measurements import Workload


class Bench:
    """Measures pairs of two sides. A context manager; processes end with it.

    Sides with one place and harness share a template: what it happened to get when it started
    (addresses, memory) is then the same on both sides of every pair.

    Args:
        sides: A and B, placed (`sides.placed`).
        splits: the pictures.
        workload: `train` or `inference`.
        seed: of weights, batches and orders.
    """

    def __init__(
        self, sides: Sequence[Side], splits: Splits, *, workload: Workload, seed: int = 0
    ) -> None:
        self.sides = {side.name: side for side in sides}
        self._splits, self._workload, self._seed = splits, workload, seed
        self._templates: dict[tuple[Place, Path], Template] = {}
        self._spent: list[Template] = []
        self._children: list[Child] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")
        self._manifest = Path(self._scratch.name) / "pictures.json"

    def __enter__(self) -> Self:
        self._splits.save(self._manifest)
        for side in self.sides.values():
            self._template(side)  # all import at the same time
        for template in self._templates.values():
            template.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        for template in self._templates.values():
            template.stop()
        self._scratch.cleanup()

    def pair(self, number: int) -> Pair:
        """Measures one pair of fresh processes.

        Args:
            number: of the pair; with the seed it draws every order.

        Raises:
            SideFailed: if a side can't be built or its process ends.
        """
        rng = random_stream(self._seed, "ab_pair", number)
        with self.processes(number, rng) as time_steps:
            return measure_pair(
                number,
                time_steps,
                rng,
                batch_a=self.sides["A"].batch_size,
                batch_b=self.sides["B"].batch_size,
            )

    @contextmanager
    def processes(self, number: int, rng: np.random.Generator) -> Iterator[dict[str, TimeSteps]]:
        """Forks and builds a process for each side; they end afterwards."""
        try:
            # Which is forked first is drawn too: it may get the better memory.
            children = {name: self._fork(self.sides[name], number) for name in drawn_order(rng)}
            for name, child in children.items():
                child.send(self._build(self.sides[name]))  # both build at the same time
            for child in children.values():
                child.answer()
            yield {name: child.time for name, child in children.items()}
            for child in children.values():
                child.end()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Ends what is left of a pair."""
        for child in self._children:
            child.kill()
        for template in self._spent:
            template.stop()
        self._children, self._spent = [], []

    def _fork(self, side: Side, number: int) -> Child:
        template = self._template(side)
        child = template.fork(side.name, side.folder, cpu=number)
        self._children.append(child)
        if not template.can_fork:  # it has become the child
            self._spent.append(template)
            del self._templates[side.place, side.harness]
        return child

    def _template(self, side: Side) -> Template:
        key = (side.place, side.harness)
        if key not in self._templates:
            self._templates[key] = Template(*key, Path(self._scratch.name))
        return self._templates[key]

    def _build(self, side: Side) -> dict[str, Any]:
        return {
            "do": "build",
            "variant": asdict(side.variant),
            "splits": str(self._manifest),
            "workload": self._workload,
            "backend": side.place.backend,
            "device": side.place.device,
            "batch_size": side.batch_size,
            "seed": self._seed,
        }
